"""The proof of the proof: with a protection switched off, the part that needs it must fail, and for that reason."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from faults.all_parts import part
from faults.part import Outcome, Part
from faults.parts.deliveries import STALE_WROTE
from faults.parts.killers import MOST_DEATHS
from faults.stage import Stage


@dataclass(frozen=True)
class Counterproof:
    """`off` is switched off, `part` is played in its short form; `reason` says why that must fail, `shows` whether it
    did so for that reason and not for want of time.
    """

    off: str
    part: str
    reason: str
    shows: Callable[[Outcome], bool]

    @property
    def plays(self) -> Part:
        """The part that needs the protection."""
        return part(self.part)

    def play(self, stage: Stage) -> Outcome:
        """Play the part without the protection."""
        return stage.play(self.plays, self.plays.short, off=(self.off,))

    def to_object(self, outcome: Outcome) -> dict[str, Any]:
        """One object of the campaign's `counterproofs`."""
        return {"off": self.off, "failed": not outcome.right, "for_its_reason": self.shows(outcome)} | {
            key: value for key, value in outcome.to_object(self.part).items() if key != "right"
        }


COUNTERPROOFS: Final = (
    Counterproof(
        "reconciler",
        "flush",
        "a message that is lost is never sent again: the slide stays queued, and nobody ever tried it",
        lambda outcome: outcome.verdict.missing > 0 and all("after 0 attempts" in d for d in outcome.verdict.details),
    ),
    Counterproof(
        "fencing",
        "stale",
        "a worker that lost its lease writes over what the next one found",
        # Whether its slide is then wrong or already being classified again is a matter of how fast the watcher is.
        lambda outcome: any(STALE_WROTE in problem for problem in outcome.problems) and not outcome.acted["fencing"],
    ),
    Counterproof(
        "cap",
        "killers",
        "a picture that kills its worker kills every one that follows",
        lambda outcome: (
            outcome.verdict.missing > 0 and outcome.figures.get("most_deaths_of_one_killer", 0) > MOST_DEATHS
        ),
    ),
    Counterproof(
        "supervisor",
        "each-killed",
        "what is killed is not started again",
        lambda outcome: outcome.verdict.missing > 0 and not outcome.acted["supervisor"],
    ),
)
