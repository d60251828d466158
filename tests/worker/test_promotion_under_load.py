"""Promoted and rolled back while slides flow: none fails, each result names its bundle, a change takes one slide."""

import os
import subprocess
import sys
import time
from collections import Counter

import pytest
from sqlmodel import select

from smear import bundle as bundles
from smear import promotion
from smear.audit import Actor, verify
from smear.review_tables import AuditRow
from smear.shipped import shipped_bundle
from smear.store import Store
from smear.tables import BundleRow, DifferentialRow, RevisionRow, key, utc_now
from worker.install import prepare
from worker.models import register, serving
from worker.queue import publish, sender


ADA = Actor(None, "ada", "administrator")
#: Changes of the bundle that serves: forth and back.
CHANGES = 4
#: Slides that are on their way at each change, and how many of them are waited for.
WAVE, WAITED = 10, 4


@pytest.fixture
def two(settings):
    """The shipped bundle, which serves, and another; their row numbers."""
    prepare(settings)
    store = Store(settings.database)
    first = bundles.load(settings.models_folder / shipped_bundle().name)
    calibration = first.manifest.calibration.model_copy(update={"temperature": 1.5})
    made = bundles.write(
        settings.models_folder, "nightly-20310501", first.network.read_bytes(), "# For tests\n",
        geometry=first.manifest.geometry, data=first.manifest.data, command="none", scores={}, calibration=calibration,
        training_mix=first.manifest.training_mix, parent=first.bundle_id,
    )  # fmt: skip
    numbers = register(store, first), register(store, made)
    yield store, *numbers
    store.close()


@pytest.fixture(params=[("solo", 1), ("threads", 2)], ids=lambda pool: pool[0])
def pool(request, settings, tmp_path, broker, two):
    """A worker of that pool on a real broker; (process, log, slides at a time)."""
    name, at_a_time = request.param
    broker.start()
    log = tmp_path / "worker.log"
    call = [sys.executable, "-m", "celery", "-A", "worker", "worker", "-Q", "slides", "-P", name, "-c", str(at_a_time)]
    with log.open("w") as file:
        process = subprocess.Popen(
            [*call, "--without-gossip", "--without-mingle", "--without-heartbeat"],
            cwd=tmp_path, stdout=file, stderr=file,
            env=os.environ | {"WNET_VAR": str(settings.var), "WNET_DROP": settings.drop, "WNET_LEASE_SECONDS": "60"},
        )  # fmt: skip
    yield process, log, at_a_time
    process.kill()
    process.wait()


def check_changes(since, made, at_a_time):
    """After each change no more slides are of the other bundle than were in hand; and some are of this one."""
    ends = [at for at, _ in since[1:]] + [utc_now()]
    for (begins, serves), end in zip(since, ends, strict=True):
        within = [row.bundle for row in made if begins <= row.created_at < end]
        late = sum(bundle != serves for bundle in within)
        assert late <= at_a_time, f"{late} of {within} were made by what served before"
        assert serves in within


@pytest.mark.timeout(600)  # half a minute on a quiet machine
def test_workers_take_the_other_bundle_with_their_next_slide_and_lose_none(
    pool, two, settings, make_slide, queue_slide
):
    process, log, at_a_time = pool
    store, first, second = two
    app = sender(settings)
    waves = []

    def wave():
        names = [f"S-{len(waves)}-{i}" for i in range(WAVE)]
        for i, name in enumerate(names):
            make_slide(settings.sources[0].root, name, 6, first=len(waves) * WAVE + i)
        revisions = [queue_slide(store, name) for name in names]
        waves.append(revisions)
        for revision in revisions:
            publish(app, revision)

    def done(revisions):
        with store.read() as session:
            query = select(DifferentialRow.revision).where(DifferentialRow.revision.in_(revisions))
            return len(session.exec(query).all())

    def wait_for(revisions, number):
        deadline = time.monotonic() + 300
        while done(revisions) < number:
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.02)

    since = [(utc_now(), first)]
    wave()
    wait_for(waves[-1], WAITED)
    for number in range(CHANGES):
        if number % 2:
            promotion.rollback(store, ADA, "fewer basophils than before")
        else:
            promotion.promote(store, second, ADA, "better on our slides")
        # From here on a slide that is taken up is taken up under the other one.
        since.append((utc_now(), first if number % 2 else second))
        wave()
        wait_for(waves[-1], WAITED)
    for revisions in waves:
        wait_for(revisions, WAVE)

    with store.read() as session:
        states = Counter(row.state for row in session.exec(select(RevisionRow)))
        tries = {row.attempts for row in session.exec(select(RevisionRow))}
        made = session.exec(select(DifferentialRow).order_by(DifferentialRow.created_at)).all()
        known = {key(row.id) for row in session.exec(select(BundleRow))}
        acts = [row.action for row in session.exec(select(AuditRow).order_by(AuditRow.number))]
    assert states == {"classified": WAVE * (CHANGES + 1)}
    assert tries == {1}
    assert len({row.revision for row in made}) == len(made) == WAVE * (CHANGES + 1)
    assert {row.bundle for row in made} == known == {first, second}
    check_changes(since, made, at_a_time)
    assert acts == ["promote bundle", "rollback bundle"] * (CHANGES // 2)
    assert verify(store).problem is None
    assert serving(store)[0].startswith("wnet-pbc@")
