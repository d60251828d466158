"""A real worker process on a real broker: what it takes, what it refuses, what it says about it."""

import os
import subprocess
import sys
import time

import pytest
from celery import Celery
from sqlalchemy.exc import IntegrityError

from smear.celery_settings import celery_settings
from smear.layout import layout
from smear.store import Store
from smear.tables import SlideRow, utc_now
from worker.install import prepare
from worker.queue import CLASSIFY, SLIDES, depth, publish, sender
from worker.results import results
from worker.watch.loop import step
from worker.watch.observe import Observing
from worker.watch.reconcile import Reconciler
from worker.watch.source import SourceWatch


class ForgedPickle:
    """Runs code in whoever unpickles it."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (self.path,)


@pytest.mark.parametrize(
    ("variable", "value"),
    [("WNET_LAYOUT", "heap"), ("WNET_DATABASE_URL", "mysql://u:Pa55@h/x"), ("WNET_INTERVALS", "/no/such.json")],
)
def test_a_worker_does_not_start_with_what_it_could_never_work_with(tmp_path, variable, value):
    done = subprocess.run(
        [sys.executable, "-m", "celery", "-A", "worker", "worker", "-Q", "slides", "-P", "solo"],
        cwd=tmp_path, env=os.environ | {variable: value}, capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr.startswith(f"settings: {variable}")
    assert "Traceback" not in done.stderr
    assert "Pa55" not in done.stderr


@pytest.fixture
def celery_worker(settings, tmp_path):
    """A worker process; its log is in the file that is given."""
    log = tmp_path / "worker.log"
    with log.open("w") as file:
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "celery", "-A", "worker", "worker", "-Q", "slides", "-P", "solo"),
                *("--without-gossip", "--without-mingle", "--without-heartbeat"),
            ],
            cwd=tmp_path,
            env=os.environ
            | {
                "WNET_VAR": str(settings.var),
                "WNET_DROP": settings.drop,
                "WNET_LOG_LEVEL": "debug",
                "REMAP_SIGTERM": "SIGQUIT",
            },
            stdout=file,
            stderr=file,
        )
    yield process, log
    process.kill()
    process.wait()


def wait_for(condition, process, log, seconds=90):
    deadline = time.monotonic() + seconds
    while not condition():
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.05)


def test_slides_are_classified_forgeries_refused_and_names_kept_out_of_the_log(
    broker, settings, drop, make_slide, celery_worker, tmp_path, queue_slide
):
    process, log = celery_worker  # started before its broker and its database: it waits for both
    broker.start()
    forger = Celery("forger", set_as_current=False)
    forger.conf.update(celery_settings(settings) | {"task_serializer": "pickle", "accept_content": ["pickle"]})
    forger.send_task(CLASSIFY, args=[ForgedPickle(str(tmp_path / "forged"))], queue=SLIDES)
    app = sender(settings)
    app.send_task("os.system", args=["touch forged"], queue=SLIDES)
    app.send_task(CLASSIFY, args=["not a number", 2, 3], queue=SLIDES)
    prepare(settings)
    store = Store(settings.database)
    folder = make_slide(drop, "PATIENT-4711", 4)
    (folder / "SECRET-99.jpg").write_bytes(b"rubbish")
    (folder / "slide.json").write_text('{"order_id": "ORDER-0815"}')
    (folder / ".complete").touch()
    quick = settings.model_copy(update={"file_settle_seconds": 0.0})
    (source,) = settings.sources
    watch = SourceWatch(store, source, quick, Observing(drop, layout("slides"), "none"))
    reconciler = Reconciler(store, quick, app)
    missing = queue_slide(store, "PATIENT-GONE")
    publish(app, missing)

    def finished():
        step([watch], reconciler, time.monotonic())
        return {r.slide.slide_id: r.revision.state for r in results(store)}.get("PATIENT-4711") == "classified"

    wait_for(finished, process, log)
    wait_for(lambda: depth(app) == 0, process, log)
    assert not (tmp_path / "forged").exists()
    said = log.read_text()
    for name in ("PATIENT", "4711", "ORDER-0815", "SECRET-99"):
        assert name not in said
    assert "classified" in said
    assert "Refusing to deserialize untrusted content of type pickle" in said
    process.terminate()
    assert process.wait(30) is not None
    store.close()


def test_wrong_settings_end_a_worker_with_one_sentence(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "celery", "-A", "worker", "worker", "-Q", "slides", "-P", "solo"],
        cwd=tmp_path,
        env=os.environ | {"WNET_LAYOUT": "heap"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode != 0
    assert "WNET_LAYOUT: no layout 'heap'" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_warning_names_no_slide_even_where_an_error_comes_from_the_database(sqlite_store, queue_slide):
    queue_slide(sqlite_store, "PATIENT-4711")
    again = SlideRow(source_id=1, slide_id="PATIENT-4711", folder="PATIENT-4711", first_seen_at=utc_now())
    with pytest.raises(IntegrityError, match=r"(?i)unique") as refused, sqlite_store.write() as session:
        session.add(again)
    assert "PATIENT" not in str(refused.value)


def test_the_watcher_logs_no_slide_names(settings, sqlite_store, drop, make_slide, capfd):
    import logging

    import structlog

    from smear.logs import set_up_logging

    before = logging.getLogger().handlers[:], logging.getLogger().level
    try:
        set_up_logging("debug", "logfmt")
        for name in ("PATIENT-4711", "BFS-PATIENT", os.fsdecode(b"PATIENT\xff")):
            make_slide(drop, name, 2)
        (source,) = settings.sources
        watch = SourceWatch(sqlite_store, source, settings, Observing(drop, layout("slides"), "none"))
        for now in range(0, 100, 1):
            watch.step(now)
        (drop / "PATIENT-4711" / "late.jpg").write_bytes(b"late")
        watch._observing.wakes.add(("PATIENT-4711", "PATIENT-4711"))
        for now in range(100, 140, 1):
            watch.step(now)
    finally:
        logging.getLogger().handlers[:], level = before
        logging.getLogger().setLevel(level)
        structlog.reset_defaults()
    said = capfd.readouterr().err
    assert "settled" in said
    assert "PATIENT" not in said.replace(str(drop), "")


def test_log_lines_are_json_where_that_is_wanted(capfd):
    import json
    import logging

    import structlog

    from smear.logs import set_up_logging

    before = logging.getLogger().handlers[:], logging.getLogger().level
    try:
        set_up_logging("info", "json")
        structlog.get_logger().info("classified", revision=7)
        structlog.get_logger().debug("not said")
        logging.getLogger("other").warning("from the standard library: %s", 3)
        logging.getLogger("kombu").info("chatter")
    finally:
        logging.getLogger().handlers[:], level = before
        logging.getLogger().setLevel(level)
        structlog.reset_defaults()
    first, second = (json.loads(line) for line in capfd.readouterr().err.splitlines())
    assert (first["event"], first["revision"], first["level"]) == ("classified", 7, "info")
    assert second["event"] == "from the standard library: 3"
