"""Writers, watcher, broker and workers in any order hypothesis can think of: the database comes to say what lies there.

Real files and a real SQLite database; time is a number, the broker a list, the engine a fake that sums up pixels.
"""

import os
import shutil
import tempfile
from pathlib import Path

import numpy as np
import pytest
from faults.ground_truth import pictures
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test
from sqlmodel import col, select

from smear import bundle as bundles
from smear.cells import CELL_TYPES
from smear.files import sha256
from smear.layout import layout
from smear.settings import Settings
from smear.shipped import shipped_bundle
from smear.store import Store
from smear.tables import CellRow, DifferentialRow, PictureRow, RevisionRow, SlideRow, is_latest_revision
from worker import ledger
from worker.engines.face import check_images, empty_answer
from worker.models import register
from worker.reading import SlideReader
from worker.watch import reconcile
from worker.watch.loop import step
from worker.watch.observe import Observing
from worker.watch.source import ROUND_SECONDS, SourceWatch
from worker.work import Work


SLIDES, FILES = ("A", "B"), ("1.jpg", "2.jpg", "3.jpg")
CONTENTS = [path.read_bytes() for path in pictures()[:4]]
BUNDLE = bundles.load(shipped_bundle())
READER = SlideReader(1)


class FakeEngine:
    name = "fake-fp32"

    def infer(self, images):
        check_images(images)
        logits, features = empty_answer(len(images))
        logits[:], features[:] = 0, 0
        kinds = images[..., 0].sum(axis=(1, 2), dtype=np.int64) % len(CELL_TYPES)
        logits[np.arange(len(images)), kinds] = 9
        return logits, features


class FakeServing:
    def get(self):
        return BUNDLE, FakeEngine()


class Machine(RuleBasedStateMachine):
    """Everything that can happen to two slides."""

    migrated: Path

    @initialize()
    def start(self):
        self.folder = Path(tempfile.mkdtemp(prefix="wnet-states-"))
        self.drop, self.away = self.folder / "in", self.folder / "away"
        self.drop.mkdir()
        (self.folder / "var").mkdir()
        shutil.copyfile(self.migrated, self.folder / "var" / "wnet.sqlite")
        self.settings = Settings(_env_file=None, var=self.folder / "var", drop=str(self.drop), observer="none")
        self.store = Store(self.settings.database)
        register(self.store, BUNDLE)
        self.now, self.queue, self.root_is_away = 1000.0, [], False
        reconcile.publish = lambda _, revision, *__: self.queue.append(revision)
        reconcile.depth = lambda _: len(self.queue)
        self.work = Work(self.settings, self.store, FakeServing(), READER)
        self.restart_watcher()

    @rule()
    def restart_watcher(self):
        (source,) = self.settings.sources
        observing = Observing(source.root, layout(source.layout), "none")
        self.watches = [SourceWatch(self.store, source, self.settings, observing)]
        self.reconciler = reconcile.Reconciler(self.store, self.settings, None)

    # --- writers

    def path(self, slide, file):
        folder = (self.away if self.root_is_away else self.drop) / slide
        folder.mkdir(exist_ok=True)
        return folder / file

    @rule(slide=st.sampled_from(SLIDES), file=st.sampled_from(FILES), content=st.sampled_from(range(4)))
    def write(self, slide, file, content):
        self.path(slide, file).write_bytes(CONTENTS[content])

    @rule(slide=st.sampled_from(SLIDES), file=st.sampled_from(FILES), content=st.sampled_from(range(4)))
    def write_half(self, slide, file, content):
        data = CONTENTS[content]
        self.path(slide, file).write_bytes(data[: len(data) // 2].ljust(len(data), b"\0"))

    @rule(slide=st.sampled_from(SLIDES), file=st.sampled_from(FILES), content=st.sampled_from(range(4)))
    def rewrite_in_place_with_the_old_time(self, slide, file, content):
        path = self.path(slide, file)
        if path.exists():
            before = path.stat()
            with path.open("r+b") as out:
                out.write(CONTENTS[content][: before.st_size].ljust(before.st_size, b"\0"))
            os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))

    @rule(slide=st.sampled_from(SLIDES), file=st.sampled_from(FILES), other=st.sampled_from(FILES))
    def rename(self, slide, file, other):
        if self.path(slide, file).exists():
            self.path(slide, file).rename(self.path(slide, other))

    @rule(slide=st.sampled_from(SLIDES), file=st.sampled_from(FILES))
    def delete(self, slide, file):
        self.path(slide, file).unlink(missing_ok=True)

    @rule(slide=st.sampled_from(SLIDES))
    def mark_complete(self, slide):
        self.path(slide, ".complete").touch()

    @precondition(lambda self: not self.root_is_away)
    @rule()
    def unmount(self):
        self.drop.rename(self.away)
        self.root_is_away = True

    @precondition(lambda self: self.root_is_away)
    @rule()
    def mount(self):
        self.away.rename(self.drop)
        self.root_is_away = False

    # --- watcher, broker, workers

    @rule(seconds=st.sampled_from([0.3, 2.5, 4.5, 11.0, 61.0]))
    def pass_time_and_watch(self, seconds):
        self.now += seconds
        step(self.watches, self.reconciler, self.now)

    @precondition(lambda self: self.queue)
    @rule(which=st.integers(0, 20))
    def work_on(self, which):
        self.work.do(self.queue.pop(which % len(self.queue)))

    @precondition(lambda self: self.queue)
    @rule()
    def deliver_thrice_and_shuffled(self):
        self.queue[:] = (self.queue * 3)[::-1]

    @rule()
    def forget_every_message(self):
        self.queue.clear()

    @precondition(lambda self: self.queue)
    @rule()
    def claim_and_die(self):
        ledger.claim(self.store, self.queue.pop(0), "a worker that dies")

    @precondition(lambda self: self.queue)
    @rule(content=st.sampled_from(range(4)), slide=st.sampled_from(SLIDES), file=st.sampled_from(FILES))
    def work_past_the_lease_while_things_change(self, content, slide, file):
        """The claim runs out and the slide changes between what this worker has read and what it would write."""
        revision, machine = self.queue.pop(0), self

        class FakeSlowEngine(FakeEngine):
            def infer(self, images):
                machine.path(slide, file).write_bytes(CONTENTS[content])
                for _ in range(4):
                    machine.pass_time_and_watch(machine.settings.lease_seconds)
                return super().infer(images)

        class FakeSlowServing:
            def get(self):
                return BUNDLE, FakeSlowEngine()

        Work(self.settings, self.store, FakeSlowServing(), READER).do(revision)

    # --- the end

    def go_on(self, seconds):
        until = self.now + seconds
        while self.now < until:
            self.pass_time_and_watch(2.5)
            while self.queue:
                self.work.do(self.queue.pop(0))

    def teardown(self):
        if not hasattr(self, "folder"):
            return
        try:
            if self.root_is_away:
                self.mount()
            self.go_on(90)
            self.now += ROUND_SECONDS  # within the hour every young slide is looked at file by file
            self.go_on(120)
            for slide in SLIDES:
                self.check(slide)
        finally:
            self.store.close()
            shutil.rmtree(self.folder)

    def check(self, slide):
        folder = self.drop / slide
        lies_there = {p.name: sha256(p.read_bytes()) for p in folder.glob("*.jpg")} if folder.exists() else {}
        with self.store.read() as session:
            query = select(RevisionRow).join(SlideRow, col(SlideRow.id) == col(RevisionRow.slide))
            revision = session.exec(query.where(SlideRow.slide_id == slide, is_latest_revision())).one_or_none()
            if not lies_there:
                return  # what was purged stays as it was seen
            assert revision is not None, f"{slide} was never seen"
            assert revision.state in {"classified", "failed"}, (slide, revision.state, revision.reason)
            assert len(session.exec(select(DifferentialRow).where(DifferentialRow.revision == revision.id)).all()) == 1
            joined = select(PictureRow.path, CellRow.sha256).join(CellRow, col(CellRow.id) == col(PictureRow.cell))
            known = dict(session.exec(joined.where(PictureRow.revision == revision.id)).all())
        for file, content in lies_there.items():
            # A copy of what is known under another name is nothing new.
            assert known[file] == content if file in known else content in known.values(), (slide, file)


@pytest.mark.timeout(900)
def test_whatever_happens_in_whatever_order_the_database_says_what_lies_there(migrated_sqlite, monkeypatch):
    monkeypatch.setattr(reconcile, "publish", None)
    monkeypatch.setattr(reconcile, "depth", None)
    Machine.migrated = migrated_sqlite
    examples = int(os.environ.get("FAULTS_EXAMPLES", "12"))
    quiet = settings(
        max_examples=examples, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck),
        print_blob=True, derandomize="FAULTS_EXAMPLES" not in os.environ,
    )  # fmt: skip
    run_state_machine_as_test(Machine, settings=quiet)
