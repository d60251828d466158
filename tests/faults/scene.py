"""A part while it plays: its service, what it dropped, what was injected, and the comparison at its end."""

import random
import shutil
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from faults.ground_truth import UNFINISHED, Expected, Truth, classified, compare
from faults.part import Outcome, Part, Unfinished
from faults.service import FaultyService, wait
from sqlmodel import col, func, select

from smear.tables import RevisionRow, SlideRow, is_latest_revision


if TYPE_CHECKING:
    from faults.stage import Stage


#: What the log says when a protection acts.
ACTS: Final = {
    "reconciler": ('worker="went silent"', "message lost"),
    "reports": ("was ended by SIG", "ended with exit code"),
    "fencing": ("result dropped",),
    "outbox": ("broker is away",),
    "hearing": ("messages wait but none arrive here",),
    "retry": ('"not now"', "still changing", "a step failed", "database is away", "drop folder is away"),
    "quarantine": ("put into quarantine",),
    "reserve": ("the disk is nearly full",),
}


class Scene:
    """What a part is given to play with."""

    def __init__(self, stage: "Stage", part: Part, sizes: Mapping[str, float], off: tuple[str, ...], nth: int) -> None:
        """`nth`: how often this stage has played the part, this time included. It may meet the service that its last
        play left, with that play's slides in the drop folder and its killers in quarantine.
        """
        self._stage, self._part, self._sizes, self.off, self.nth = stage, part, sizes, off, nth
        self._name = f"{part.name}-{nth}"
        self.outcome = Outcome()
        self.truth: Truth = {}
        self.dice = random.Random(part.name)
        self.started: FaultyService | None = None
        self._said_before = self._spawned_before = self._numbered = 0
        self.folder = stage.folder / self._name
        self.folder.mkdir(parents=True, exist_ok=True)

    def size(self, name: str) -> int:
        """One of the part's numbers."""
        return int(self._sizes[name])

    @property
    def short(self) -> bool:
        """Whether these are the short form's numbers."""
        return dict(self._sizes) == dict(self._part.short)

    def service(self, **wanted: Any) -> FaultyService:
        """The service this part plays with, running; with its protections off where that was asked for."""
        # All but the supervisor look again at each call whether they are switched off.
        at_start = tuple(f"no-{name}" for name in self.off if name == "supervisor")
        service = self._stage.service(modes=at_start, **wanted)
        for name in self.off:
            service.plan.switch(f"no-{name}")
        if service is not self.started:
            self.started = service
            self._said_before, self._spawned_before = len(service.said()), service.spawned()
        return service

    @property
    def _running(self) -> FaultyService:
        assert self.started is not None, "this part has started no service"
        return self.started

    @property
    def prefix(self) -> str:
        """What the names of the slides of this play begin with."""
        return f"{self._name}-"

    # --- dropping

    def names(self, slides: int) -> list[str]:
        """So many new names, known with what must come out of them."""
        names = []
        for _ in range(slides):
            name = f"{self.prefix}{self._numbered:04d}"
            self.truth[name] = self._stage.pool.expected(self._numbered, name)
            self._numbered += 1
            names.append(name)
        return names

    def source_of(self, name: str) -> Path:
        """The pool's folder that a name stands for."""
        return self._stage.pool.slide(int(name.rpartition("-")[2]))

    def drop(self, slides: int, marked: bool = False) -> list[str]:
        """Copy so many slides into the drop folder; their names. `marked`: with a `.complete` marker at the end."""
        names = self.names(slides)
        self.drop_named(names, marked)
        return names

    @contextmanager
    def laying_down(self, name: str) -> Iterator[Path]:
        """A hidden folder to fill; then it gets its name. However long the filling takes, the slide comes whole."""
        hidden = self._running.drop / f".{name}"
        hidden.mkdir()
        yield hidden
        hidden.rename(self._running.drop / name)

    def drop_named(self, names: list[str], marked: bool = False) -> None:
        """Copy the slides of these names into the drop folder."""
        for name in names:
            with self.laying_down(name) as folder:
                shutil.copytree(self.source_of(name), folder, dirs_exist_ok=True)
                if marked:
                    (folder / ".complete").touch()

    @contextmanager
    def dropping(self, pause_seconds: float, marked: bool = False) -> Iterator[None]:
        """Meanwhile slides are dropped one after the other, so that there is always some work."""
        stop = threading.Event()

        def run() -> None:
            while not stop.wait(pause_seconds):
                # Never more than a few ahead: what is injected shall meet work, not a backlog.
                if self.unfinished() < 8:
                    self.drop(1, marked)

        thread = threading.Thread(target=run, name="dropping")
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()

    def settle_truth(self, revisions: Mapping[str, int | None]) -> None:
        """For slides that were written to in ways of their own: what lies there now is what must be known."""
        told = classified([self._running.drop / name for name in revisions], self.folder / "truth")
        for name, number in revisions.items():
            self.truth[name] = Expected(told[name].told, told[name].files, number)

    # --- waiting

    def seconds(self, quiet: float) -> float:
        """A time-out that would be generous on a quiet machine, times the patience this machine needs."""
        return quiet * self._stage.patience

    def wait(self, condition: Callable[[], object], quiet: float, what: str) -> float:
        """Wait until it holds; seconds that took."""
        return wait(condition, self.seconds(quiet), what)

    def unfinished(self) -> int:
        """How many of this part's slides have no answer yet; unseen ones count."""
        ours = col(SlideRow.slide_id).startswith(self.prefix, autoescape=True)
        with self._running.store.read() as session:
            done = session.exec(
                select(func.count())
                .select_from(RevisionRow)
                .join(SlideRow, col(SlideRow.id) == col(RevisionRow.slide))
                .where(ours, is_latest_revision(), col(RevisionRow.state).not_in(list(UNFINISHED)))
            ).one()
        return len(self.truth) - int(done)

    def finish(self, quiet: float) -> float:
        """Wait until every slide of this part has its answer; seconds that took. Raises Unfinished."""
        try:
            return self.wait(lambda: self.unfinished() <= 0, quiet, "slides unfinished")
        except AssertionError as error:
            raise Unfinished(str(error)) from None

    def inject(self, what: str, times: int = 1) -> None:
        """Count what was done to the service."""
        self.outcome.injected[what] += times

    def end_service(self) -> None:
        """End this part's service now: what it stands on goes away with the part."""
        if self.started is not None:
            self.started.plan.withdraw()
            self.close(compared=True)
        self._stage.close()
        self.started = None

    # --- the end

    def close(self, *, compared: bool) -> None:
        """Hold the database against the truth, and count which protections acted."""
        outcome = self.outcome
        if self.started is None:
            return
        said = self.started.said()[self._said_before :]
        for protection, words in ACTS.items():
            outcome.acted[protection] += sum(said.count(word) for word in words)
        outcome.acted["supervisor"] += self.started.spawned() - self._spawned_before
        outcome.acted += Counter()  # only what acted
        outcome.slides += len(self.truth)
        outcome.verdict += compare(self.started.store, self.truth, self.prefix)
        self.truth.clear()
        if damage := self.started.damage():
            outcome.problems.append(f"the database is damaged: {damage}")
        if compared and not self.off:
            idle = [name for name in self._part.expects if not outcome.acted[name]]
            outcome.problems += [f"the {name} never acted: this part has shown nothing of it" for name in idle]
        (self.folder / "service.log").write_text(said, encoding="utf-8")
