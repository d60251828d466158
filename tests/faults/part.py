"""A part of the campaign, and what one came to: the nouns."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from faults.ground_truth import Verdict


if TYPE_CHECKING:
    from faults.scene import Scene


class Unfinished(AssertionError):
    """Slides were not done in the time they were given; the comparison says which."""


class CannotPlay(Exception):
    """This machine lacks what a part needs; its text says what."""


@dataclass(frozen=True)
class Part:
    """One part of the campaign.

    `full` and `short` are its numbers in the long and in the short form. `expects` names the protections that must
    have been seen to act: a part that never needed them shows nothing.
    """

    name: str
    sentence: str
    play: "Callable[[Scene], None]"
    full: Mapping[str, float]
    short: Mapping[str, float]
    expects: frozenset[str] = frozenset()


@dataclass
class Outcome:
    """What a part came to, in the shape of `var/faults.json`."""

    injected: Counter[str] = field(default_factory=Counter)
    acted: Counter[str] = field(default_factory=Counter)
    figures: dict[str, Any] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    slides: int = 0
    verdict: Verdict = field(default_factory=Verdict)
    seconds: float = 0.0

    @property
    def right(self) -> bool:
        """Nothing missing, twice or wrong, and nothing else amiss."""
        return self.verdict.right and not self.problems

    def to_object(self, name: str) -> dict[str, Any]:
        """One object of the campaign's `parts`."""
        return {
            "name": name, "injected": sum(self.injected.values()), "acted": dict(self.acted), "slides": self.slides,
            "missing": self.verdict.missing, "twice": self.verdict.twice, "wrong": self.verdict.wrong,
            "seconds": round(self.seconds, 1), "right": self.right, "injections": dict(self.injected),
            "figures": self.figures, "problems": [*self.problems, *self.verdict.details[:20]],
        }  # fmt: skip
