"""A night: its stages one after the other, under the lease, each a row; broken off, it goes on where it stopped."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from sqlmodel import col, select

from smear import bundle, runs
from smear.bundle import Bundle
from smear.lease import Held, Lease
from smear.plain import PlainError
from smear.runs import STAGES
from smear.settings import Settings
from smear.store import Store
from smear.tables import BundleRow, ServingRow
from trainer.learning import Epoch
from trainer.nightly import scorecard
from trainer.nightly.collect import collect
from trainer.nightly.judge import before_nights, first_of_line, judge
from trainer.nightly.learner import NIGHTLY
from trainer.nightly.offer import offer, staging_folder, sweep, withdraw
from trainer.nightly.train import train
from trainer.recipes import Recipe


class NoChampion(PlainError):
    """No bundle serves that a night could begin from."""


@dataclass(frozen=True)
class Told:
    """How a night stands: its stages' states, and the sentence that says what came of it."""

    night: str
    states: dict[str, str]
    sentence: str
    told: dict[str, dict[str, Any]]

    def as_json(self) -> dict[str, Any]:
        """What `trainer nightly --json` prints."""
        return {"night": self.night, "stages": self.states, "outcome": self.sentence, "told": self.told}


class Nightly:
    """The trainer's stages of a night. `build` is engine_build's: `hand_over` does it, or sees that it will be done.

    `hand_over` returns whether the stage is done now; where another process does it, the night goes on later.
    """

    def __init__(
        self,
        store: Store,
        settings: Settings,
        hand_over: Callable[[str], bool],
        *,
        recipe: Recipe = NIGHTLY,
        on_stage: Callable[[str], object] = lambda _: None,
        on_epoch: Callable[[Epoch], object] = lambda _: None,
    ) -> None:
        self._store, self._settings, self._hand_over = store, settings, hand_over
        self._recipe, self._on_stage, self._on_epoch = recipe, on_stage, on_epoch

    def run(self, today: date, *, again: bool) -> Told | None:
        """Begin or go on, as far as this room can; None where the date has had its night. Raises Held, Lost."""
        while True:
            stage = ""
            with Lease(self._store, runs.LEASE, self._settings.lease_seconds) as lease:
                night = runs.begin(self._store, today, again=again)
                if night is None:
                    return None
                again = False
                sweep(self._settings.models_folder, self._settings.nightly_folder, night)
                stage = self._stages(lease, night)
            # The other room takes the lease itself.
            if stage != "build" or not self._hand_over(night) or self._next(night) in {"", "build"}:
                if not self._next(night):
                    self._tidy()
                return told(self._store, night)

    def _stages(self, lease: Lease, night: str) -> str:
        """Do stages until one is not ours or the night ends; the stage that comes next, empty at the end."""
        while True:
            with self._store.read() as session:
                row = runs.next_stage(runs.stages(session, night))
            if row is None or row.stage == "build":
                return "" if row is None else row.stage
            stage = row.stage
            self._on_stage(stage)
            if not runs.do(self._store, lease, night, stage, lambda stage=stage: self._work(night, stage)):  # type: ignore[misc]
                return ""

    def _work(self, night: str, stage: str) -> dict[str, Any]:
        done = runs.told(self._store, night)
        folder = self._settings.nightly_folder / night
        models = self._settings.models_folder
        if stage == "collect":
            return collect(self._store, self._settings, night, self._champion(), folder)
        champion = self._bundle(done["collect"]["champion"])
        staging = staging_folder(models, night)
        if stage == "train":
            return train(
                self._settings, night, champion, before_nights(models, champion), folder, staging,
                recipe=self._recipe, on_epoch=self._on_epoch,
            )  # fmt: skip
        if stage == "judge":
            challenger = bundle.load(staging / done["train"]["folder"])
            card = judge(folder, champion, challenger, first_of_line(models, champion), done["build"])
            scorecard.write(folder, card | {"night": night})
            return {"card": card | {"night": night}}
        return offer(self._store, self._settings, night, done["train"]["folder"], done["judge"]["card"])

    def _tidy(self) -> None:
        """Remove what nights left that are over; under the lease, since another host may have begun the next."""
        with suppress(Held), Lease(self._store, runs.LEASE, self._settings.lease_seconds):
            with self._store.read() as session:
                rows = runs.latest(session)
            at_work = None if runs.next_stage(rows) is None else rows[0].night
            sweep(self._settings.models_folder, self._settings.nightly_folder, at_work)
            withdraw(self._store, self._settings)

    def _next(self, night: str) -> str:
        with self._store.read() as session:
            row = runs.next_stage(runs.stages(session, night))
        return "" if row is None else row.stage

    def _champion(self) -> Bundle:
        with self._store.read() as session:
            row = session.exec(
                select(BundleRow).join(ServingRow, col(ServingRow.bundle) == col(BundleRow.id))
            ).one_or_none()
        if row is None:
            raise NoChampion("no bundle serves yet: run `worker migrate` (or `make run`)")
        return bundle.load(self._settings.models_folder / row.folder)

    def _bundle(self, bundle_id: str) -> Bundle:
        with self._store.read() as session:
            row = session.exec(select(BundleRow).where(BundleRow.bundle_id == bundle_id)).one_or_none()
        if row is None:
            raise NoChampion(f"the champion {bundle_id} of this night is gone")
        return bundle.load(self._settings.models_folder / row.folder)


def told(store: Store, night: str) -> Told:
    """How a night stands."""
    with store.read() as session:
        rows = runs.stages(session, night)
    reason = runs.outcome(rows)
    done = {row.stage: row.told or {} for row in rows if row.state == "done"}
    if reason is None:
        offered = done["offer"]
        words = "is offered" if offered["passed"] else "was refused"
        reason = f"{offered['challenger']} {words}: {offered['reason']}"
    states = {row.stage: row.state for row in rows}
    brief = {stage: {k: v for k, v in result.items() if k != "card"} for stage, result in done.items()}
    return Told(night, {stage: states[stage] for stage in STAGES}, reason, brief)


def scorecard_page(settings: Settings, night: str) -> Path:
    """Where a night's page lies."""
    return settings.nightly_folder / night / "scorecard.html"
