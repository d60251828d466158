"""A bundle or an engine that cannot serve while slides wait: `worker status` says why and ends with 1."""

import shutil

import pytest

from smear.tables import RevisionRow
from worker import arrivals, ledger, waiting
from worker.install import prepare
from worker.models import ServingEngine
from worker.serving_check import why_slides_wait
from worker.status import status
from worker.work import Work


@pytest.fixture
def well(broker, sqlite_store, settings):
    """A service whose bundle is where it should be; its models folder."""
    broker.start()
    prepare(settings)
    return settings.models_folder


def told_by(worker, json_lines):
    done = worker("status", "--json")
    (told,) = json_lines(done.stdout)
    return done.returncode, told["needs_attention"]


def test_a_bundle_whose_folder_is_gone_is_said_while_slides_wait(well, worker, sqlite_store, queue_slide, json_lines):
    shutil.rmtree(next(well.iterdir()))
    queue_slide(sqlite_store)
    code, attention = told_by(worker, json_lines)
    assert code == 1
    assert attention[0].startswith("1 slide waits, and this host cannot use the bundle that serves: no bundle at ")


def test_a_bundle_that_is_damaged_is_said_while_slides_wait(well, worker, sqlite_store, queue_slide, json_lines):
    with (next(well.iterdir()) / "wnet.onnx").open("r+b") as file:
        file.seek(1000)
        file.write(b"rust")
    queue_slide(sqlite_store)
    queue_slide(sqlite_store, "S-2")
    code, attention = told_by(worker, json_lines)
    assert code == 1
    assert attention[0].startswith("2 slides wait, and this host cannot use")
    assert "is not what its manifest says" in attention[0]


def test_a_bundle_of_another_format_is_said_while_slides_wait(well, worker, sqlite_store, queue_slide, json_lines):
    manifest = next(well.iterdir()) / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"format": 1', '"format": 99'))
    queue_slide(sqlite_store)
    code, attention = told_by(worker, json_lines)
    assert (code, len(attention)) == (1, 1)


def test_without_waiting_slides_or_with_a_good_bundle_nothing_is_said(
    well, worker, sqlite_store, queue_slide, settings, json_lines
):
    arrivals.scanned(sqlite_store, arrivals.register_source(sqlite_store, settings.sources[0]))
    assert told_by(worker, json_lines) == (0, [])
    queue_slide(sqlite_store)
    assert told_by(worker, json_lines) == (0, [])
    shutil.rmtree(next(well.iterdir()))
    ledger.claim(sqlite_store, 1, "another host")  # which has the bundle
    assert told_by(worker, json_lines) == (0, [])


def test_an_engine_that_a_worker_of_any_host_lacks_is_said_in_its_own_words(
    store, settings, bundle, queue_slide, drop, make_slide, fake_engine
):
    from worker.models import register
    from worker.reading import SlideReader

    register(store, bundle)
    make_slide(drop, "S-1", 4)
    revision = queue_slide(store)

    def open_int8(found):
        from worker.engines.select import open_engine

        return open_engine(found, "auto", 1, settings.engines_folder, "int8")

    serving = ServingEngine(store, bundle.folder.parent, open_int8)
    work = Work(settings, store, serving, SlideReader(1))
    work.do(revision)
    with store.read() as session:
        (sentence,) = why_slides_wait(session, {"backlog": 1, "working_on": 0}, settings)
    assert sentence.startswith("1 slide waits for a worker that can serve: this host has no verified int8 form of ")
    assert f"engine-build build {bundle.folder}" in sentence
    with store.read() as session:
        assert (session.get(RevisionRow, revision).state, session.get(RevisionRow, revision).attempts) == ("queued", 0)
    serving._open = lambda _: fake_engine  # the form was made
    work.do(revision)
    with store.read() as session:
        assert (session.get(RevisionRow, revision).state, waiting.reasons(session)) == ("classified", [])


def test_a_reason_never_reaches_a_slide_that_another_worker_has(store, queue_slide):
    revision = queue_slide(store)
    ledger.claim(store, revision, "another host")
    waiting.note(store, revision, "this host has no engine")
    with store.read() as session:
        assert session.get(RevisionRow, revision).reason is None


def test_status_is_asked_without_a_bundle_that_serves(broker, sqlite_store, settings, queue_slide):
    from worker.queue import sender

    broker.start()
    queue_slide(sqlite_store)
    told = status(sqlite_store, settings, sender(settings))
    assert any("none serves yet: run `worker migrate`" in line for line in told["needs_attention"])


def test_status_and_doctor_say_what_nightly_learning_lacks_here(broker, settings, worker, json_lines, monkeypatch):
    import sys

    from smear import extras

    broker.start()
    prepare(settings)
    (told,) = json_lines(worker("status", "--json").stdout)
    assert told["learning"] == {"at": "02:00", "missing": [], "install": None}
    monkeypatch.setitem(sys.modules, "torch", None)
    line = extras.install_line("train")
    (told,) = json_lines(worker("status", "--json").stdout)
    assert told["learning"] == {"at": "02:00", "missing": ["torch"], "install": line}
    assert not any("torch" in sentence for sentence in told["needs_attention"])  # running slides needs none of it
    assert "torch not installed" in " ".join(worker("status").stdout.split())
    (finding,) = [f for f in json_lines(worker("doctor", "--json").stdout) if f["name"] == "nightly learning"]
    assert (finding["verdict"], finding["found"]) == ("mind", "not on this host: torch not installed")
    assert finding["cure"] == f"{line}, or set WNET_NIGHTLY_AT=off"
    off = worker("doctor", "--json", WNET_NIGHTLY_AT="off")
    (finding,) = [f for f in json_lines(off.stdout) if f["name"] == "nightly learning"]
    assert finding["verdict"] == "good"
