"""Watcher and worker in one, stepped through time over a real folder and a real database, with a fake engine."""

import os

import pytest
from sqlmodel import select

from smear.layout import layout
from smear.tables import DifferentialRow, RevisionRow, SlideRow
from worker import ledger
from worker.watch.observe import Observing
from worker.watch.source import SourceWatch


class FakeService:
    """Watcher and worker in one, on a clock that a test moves."""

    def __init__(self, settings, store, work, clock):
        self.settings, self.store, self.work, self.clock = settings, store, work, clock
        self.start()

    def start(self):
        """A watcher as after a restart: nothing is remembered but what the database knows."""
        (source,) = self.settings.sources
        self.observing = Observing(source.root, layout(source.layout), "none")
        self.watch = SourceWatch(self.store, source, self.settings, self.observing)
        self.watch.step(self.clock.now)

    def wake(self, slide_id, folder=None):
        self.observing.wakes.add((slide_id, folder or slide_id))

    def run(self, seconds, tick=0.5):
        """Let time pass; whatever is queued is classified at once."""
        for _ in range(round(seconds / tick)):
            self.watch.step(self.clock.pass_(tick))
            self.watch.adopt(self.clock.now)
            for revision in ledger.to_publish(self.store, 99):
                self.work.do(revision)
                ledger.mark_published(self.store, [revision])

    def states(self):
        """{(slide_id, revision number): state}"""
        with self.store.read() as session:
            rows = session.exec(select(SlideRow, RevisionRow).where(SlideRow.id == RevisionRow.slide)).all()
            return {(slide.slide_id, revision.number): revision.state for slide, revision in rows}

    def totals(self):
        with self.store.read() as session:
            return [d.total for d in session.exec(select(DifferentialRow).order_by(DifferentialRow.id))]

    def reasons(self):
        with self.store.read() as session:
            return [r.reason for r in session.exec(select(RevisionRow))]


@pytest.fixture
def make_service(settings, sqlite_store, make_work, fake_engine, clock):
    def make(**given):
        return FakeService(
            settings.model_copy(update=given), sqlite_store, make_work(sqlite_store, fake_engine, **given), clock
        )

    return make


@pytest.fixture
def service(make_service):
    return make_service()


@pytest.fixture
def either_service(settings, store, make_work, fake_engine, clock):
    """Watcher and worker in one, on a database of each kind."""
    return FakeService(settings, store, make_work(store, fake_engine), clock)


@pytest.fixture
def done(drop, make_slide, service, dump):
    """A service that has classified S-1, and forgotten that it did."""
    make_slide(drop, "S-1", 3)
    service.run(75)
    assert service.states() == {("S-1", 1): "classified"}
    # The folder's time is set back: a change made within the kernel's tick would not move it.
    return service


@pytest.fixture
def later():
    """later(folder): make sure that a folder's time has moved, however coarse the kernel's clock is."""

    def move(path, seconds=10):
        found = path.stat()
        os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns + seconds * 10**9))

    return move
