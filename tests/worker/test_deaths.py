"""Workers that really die over a slide: the culprit is found, its neighbours come out, and nobody else pays."""

import faulthandler
import hashlib
import os
import random
import signal
import time

import pytest
from sqlmodel import select

from smear.store import Store
from smear.tables import DifferentialRow, PictureRow, RevisionRow, SuspectRow
from worker import ledger, reading, work
from worker.dead import bury
from worker.ending import SILENT, of_status, process_name


def sigsegv():
    os.kill(os.getpid(), signal.SIGSEGV)


def sigabrt():
    os.abort()


def leave():
    os._exit(3)


def killed():
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.fixture(autouse=True)
def _no_core_files():
    import resource

    before = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (0, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_CORE, before)


@pytest.fixture
def attempt(make_work, fake_engine, settings):
    """attempt(store, revision, plant): one attempt in a process of its own, as a worker, with `plant(patch)` done in it
    first; its end, told to the database as the supervisor tells it (or not, with told=False).
    """

    def run(store, revision, plant=lambda _: None, *, told=True, engine=fake_engine, out_of_memory=False, **changed):
        store.close()  # a connection must not be shared with a child
        make = make_work
        child = os.fork()
        if child == 0:
            code = 1
            try:
                faulthandler.disable()  # pytest's, which would tell at length of what is meant to be
                patch = pytest.MonkeyPatch()
                plant(patch)
                own = Store(store.engine.url.render_as_string(hide_password=False))
                make(own, engine, **changed).do(revision)
                code = 0
            finally:
                os._exit(code)
        status = os.waitpid(child, 0)[1]
        ended = of_status(status, out_of_memory=out_of_memory) if told else SILENT
        if status != 0:
            bury(store, process_name(child), ended, settings.model_copy(update=changed).max_attempts)
        return ended

    return run


def digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def killing(content, how):
    """A plant: decoding this content ends the process."""

    def plant(patch):
        real = reading.to_pixels

        def to_pixels(data, geometry):
            if hashlib.sha256(data).hexdigest() == content:
                how()
            return real(data, geometry)

        patch.setattr(reading, "to_pixels", to_pixels)

    return plant


def slowly(patch):
    """A plant: decoding takes a while, so that kills meet it."""
    real = reading.to_pixels

    def to_pixels(data, geometry):
        time.sleep(0.02)
        return real(data, geometry)

    patch.setattr(reading, "to_pixels", to_pixels)


def row(store, revision):
    with store.read() as session:
        return session.get(RevisionRow, revision)


def suspects(store):
    with store.read() as session:
        return {s.sha256: (s.deaths, s.quarantined_at is not None) for s in session.exec(select(SuspectRow))}


def run_until_done(attempt, store, revision, plant, limit=20, **options):
    deaths = 0
    while row(store, revision).state == "queued":
        assert deaths <= limit
        ended = attempt(store, revision, plant, **options)
        deaths += row(store, revision).state == "queued"
    del ended
    return deaths


@pytest.mark.parametrize("how", [sigsegv, sigabrt, leave])
def test_a_picture_that_ends_its_worker_is_quarantined_after_three_deaths_and_its_neighbours_come_out(
    store, drop, make_slide, queue_slide, attempt, how
):
    folder = make_slide(drop, "S-1", 20)
    culprit = digest(folder / "cell_013.jpg")
    revision = queue_slide(store)
    assert run_until_done(attempt, store, revision, killing(culprit, how)) == 3
    found = row(store, revision)
    assert (found.state, found.deaths, found.attempts, found.in_hand) == ("classified", 3, 4, None)
    assert suspects(store) == {culprit: (2, True)}
    with store.read() as session:
        differential = session.exec(select(DifferentialRow)).one()
        pictures = session.exec(select(PictureRow).where(PictureRow.problem != None)).all()  # noqa: E711 - SQL
    assert (differential.total, differential.classified, differential.unreadable) == (20, 19, 1)
    assert [(p.path, p.problem) for p in pictures] == [("cell_013.jpg", reading.QUARANTINED)]

    # The same bytes on another slide do not kill again.
    other = make_slide(drop, "S-2", 3)
    (other / "copy.jpg").write_bytes((folder / "cell_013.jpg").read_bytes())
    second = queue_slide(store, "S-2")
    assert run_until_done(attempt, store, second, killing(culprit, how)) == 0
    assert (row(store, second).state, row(store, second).deaths) == ("classified", 0)


def test_two_killers_on_one_slide_are_both_found(sqlite_store, drop, make_slide, queue_slide, attempt):
    folder = make_slide(drop, "S-1", 12)
    culprits = [digest(folder / f"cell_{n:03}.jpg") for n in (2, 9)]
    revision = queue_slide(sqlite_store)

    def plant(patch):
        for culprit in culprits:
            killing(culprit, leave)(patch)

    run_until_done(attempt, sqlite_store, revision, plant)
    assert row(sqlite_store, revision).state == "classified"
    assert suspects(sqlite_store) == dict.fromkeys(culprits, (2, True))


def test_memory_that_runs_out_is_the_pictures_doing(sqlite_store, drop, make_slide, queue_slide, attempt):
    culprit = digest(make_slide(drop, "S-1", 5) / "cell_003.jpg")
    revision = queue_slide(sqlite_store)
    assert run_until_done(attempt, sqlite_store, revision, killing(culprit, killed), out_of_memory=True) == 3
    assert suspects(sqlite_store) == {culprit: (2, True)}


def test_a_death_nobody_saw_counts_as_well(sqlite_store, drop, make_slide, queue_slide, attempt):
    culprit = digest(make_slide(drop, "S-1", 5) / "cell_003.jpg")
    revision = queue_slide(sqlite_store)
    assert run_until_done(attempt, sqlite_store, revision, killing(culprit, killed), told=False) == 3
    assert suspects(sqlite_store) == {culprit: (2, True)}


def test_kills_from_outside_condemn_nobody_and_are_not_counted(sqlite_store, drop, make_slide, queue_slide, attempt):
    innocent = digest(make_slide(drop, "S-1", 5) / "cell_000.jpg")
    revision = queue_slide(sqlite_store)
    for kill in range(1, 8):
        assert not attempt(sqlite_store, revision, killing(innocent, killed)).own
        found = row(sqlite_store, revision)
        assert (found.state, found.attempts, found.deaths) == ("queued", kill, 0)
    attempt(sqlite_store, revision)
    assert row(sqlite_store, revision).state == "classified"
    assert suspects(sqlite_store) == {}


def test_a_picture_that_runs_out_of_memory_where_the_kernel_does_not_say_so_is_found_later(
    sqlite_store, drop, make_slide, queue_slide, attempt
):
    culprit = digest(make_slide(drop, "S-1", 5) / "cell_003.jpg")
    revision = queue_slide(sqlite_store)
    deaths = run_until_done(attempt, sqlite_store, revision, killing(culprit, killed), max_attempts=4)
    assert deaths == 4 + 2
    assert row(sqlite_store, revision).state == "classified"
    assert suspects(sqlite_store) == {culprit: (2, True)}


def test_an_innocent_in_hand_when_nobody_saw_the_kill_is_acquitted_by_the_next_attempt(
    sqlite_store, drop, make_slide, queue_slide, attempt
):
    innocent = digest(make_slide(drop, "S-1", 5) / "cell_002.jpg")
    revision = queue_slide(sqlite_store)
    for _ in range(2):
        attempt(sqlite_store, revision, killing(innocent, killed), told=False)
    assert suspects(sqlite_store) == {innocent: (1, False)}
    attempt(sqlite_store, revision)
    assert row(sqlite_store, revision).state == "classified"
    assert suspects(sqlite_store) == {}


def test_an_engine_that_dies_condemns_no_picture(sqlite_store, drop, make_slide, queue_slide, attempt, settings):
    class FakeDeadlyEngine:
        name = "fake-deadly"

        def infer(self, images):
            sigsegv()

    make_slide(drop, "S-1", 3)
    revision = queue_slide(sqlite_store)
    run_until_done(attempt, sqlite_store, revision, lambda _: None, engine=FakeDeadlyEngine(), max_attempts=5)
    found = row(sqlite_store, revision)
    assert (found.state, found.deaths) == ("failed", 5)
    assert found.reason == "its worker died 5 times over it"
    assert suspects(sqlite_store) == {}
    assert ledger.retry(sqlite_store, ["S-1"]) == 1
    attempt(sqlite_store, revision)
    assert row(sqlite_store, revision).state == "classified"


def test_a_death_while_a_file_is_read_condemns_no_picture(sqlite_store, drop, make_slide, queue_slide, attempt):
    make_slide(drop, "S-1", 12)
    revision = queue_slide(sqlite_store)

    def plant(patch):
        real = reading.fetch

        def fetch(folder, name):
            if name == "cell_009.jpg":
                leave()
            return real(folder, name)

        patch.setattr(reading, "fetch", fetch)

    for _ in range(3):
        attempt(sqlite_store, revision, plant)
    assert row(sqlite_store, revision).deaths == 3
    assert suspects(sqlite_store) == {}


def test_random_kills_leave_every_slide_classified_once_and_only_the_planted_killers_in_quarantine(
    sqlite_store, drop, make_slide, queue_slide, make_work, fake_engine, settings
):
    """Kills at random moments, half of them seen by nobody, over slides of which two hold a killer."""
    rng = random.Random(5)
    slides = {f"S-{n}": make_slide(drop, f"S-{n}", 4, first=4 * n) for n in range(8)}
    planted = {digest(slides["S-2"] / "cell_009.jpg"), digest(slides["S-5"] / "cell_020.jpg")}
    waiting = [queue_slide(sqlite_store, name) for name in slides]
    revisions, kills = list(waiting), 0
    while waiting:
        revision = waiting.pop(0)
        sqlite_store.close()
        victim, told = kills < 12 and rng.random() < 0.6, rng.random() < 0.5
        child = os.fork()
        if child == 0:
            code = 1
            try:
                faulthandler.disable()  # pytest's, which would tell at length of what is meant to be
                patch = pytest.MonkeyPatch()
                for content in planted:
                    killing(content, sigsegv)(patch)
                slowly(patch)
                own = Store(sqlite_store.engine.url.render_as_string(hide_password=False))
                make_work(own, fake_engine).do(revision)
                code = 0
            finally:
                os._exit(code)
        if victim:
            time.sleep(rng.random() * 0.2)
            os.kill(child, signal.SIGKILL)
            kills += 1
        status = os.waitpid(child, 0)[1]
        ended = of_status(status, out_of_memory=False) if told or not os.WIFSIGNALED(status) else SILENT
        bury(sqlite_store, process_name(child), ended, settings.max_attempts)
        if row(sqlite_store, revision).state == "queued":
            waiting.append(revision)
    assert {row(sqlite_store, revision).state for revision in revisions} == {"classified"}
    assert {content for content, (_, held) in suspects(sqlite_store).items() if held} == planted
    with sqlite_store.read() as session:
        found = {d.revision: d.classified for d in session.exec(select(DifferentialRow))}
    assert found == {revision: 3 if n in {2, 5} else 4 for n, revision in enumerate(revisions)}


def test_told_to_end_at_once_a_worker_hands_its_slide_back_uncounted(
    sqlite_store, drop, make_slide, queue_slide, make_work, fake_engine, monkeypatch
):
    make_slide(drop, "S-1", 3)
    revision = queue_slide(sqlite_store)

    def told(*_arguments, **_options):
        raise SystemExit(0)

    monkeypatch.setattr(work, "classify", told)
    with pytest.raises(SystemExit):
        make_work(sqlite_store, fake_engine).do(revision)
    found = row(sqlite_store, revision)
    assert (found.state, found.claimed_by, found.attempts, found.deaths) == ("queued", None, 0, 0)
    assert ledger.to_publish(sqlite_store, 9) == [revision]
