"""The first whole, driven from outside: slides dropped in, differentials out."""

import json
import shutil
import stat
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import urlopen

import pytest
from service import PROJECT

from smear import shipped
from smear.cells import CELL_TYPES
from smear.settings import Settings


SAMPLES = shipped.folder("samples")
TRUTH = json.loads((SAMPLES / "truth.json").read_text())
KEYS = {
    "source", "slide_id", "revision", "state", "cells", "files", "expected_cells", "complete", "counts", "percent",
    "ci95", "reported_by", "signed_by", "signed_at", "countersigned_by", "countersigned_at", "amended", "amending",
    "model", "prior_adjusted", "prior_adjusted_ci95", "withheld", "needs_review", "flags", "problems", "bundle",
    "engine", "precision", "backend",
}  # fmt: skip


def copy_in_pieces(slide: Path, drop: Path, seconds: float) -> None:
    """As an analyser does: picture after picture, each in two pieces."""
    target = drop / slide.name
    target.mkdir(exist_ok=True)
    pictures = sorted(slide.iterdir())
    for picture in pictures:
        data = picture.read_bytes()
        with (target / picture.name).open("wb") as file:
            file.write(data[: len(data) // 2])
            file.flush()
            time.sleep(seconds / len(pictures))
            file.write(data[len(data) // 2 :])


def large_slide(folder: Path, pictures: int) -> None:
    """A slide of so many distinct contents: sample pictures, told apart by padding behind their end marker."""
    folder.mkdir()
    sources = [p.read_bytes() for p in sorted((SAMPLES / "S-0001").iterdir())]
    for i in range(pictures):
        copies, source = divmod(i, len(sources))
        (folder / f"cell_{i:05d}.jpg").write_bytes(sources[source] + b"\0" * copies)


def test_dropped_slides_come_out_once_and_follow_their_folder(service):
    for name in TRUTH:
        copy_in_pieces(SAMPLES / name, service.drop, 5 / 3)
    dropped_at = time.monotonic()
    service.wait_for(
        lambda: {s for _, s in service.states().values()} == {"classified"} and len(service.states()) == 3, 20
    )
    # settle_seconds is 2, and two more are promised on a quiet machine.
    assert time.monotonic() - dropped_at <= 2 + 2 * service.patience

    slides = service.results()
    assert slides.keys() == TRUTH.keys()
    for name, slide in slides.items():
        assert slide.keys() == KEYS
        assert slide["state"] == "classified"
        assert slide["revision"] == 1
        assert sum(slide["counts"].values()) == slide["cells"]["classified"]
        assert slide["cells"]["total"] == len(TRUTH[name]["files"])
        assert (
            sum(slide["cells"][k] for k in ("classified", "outside", "misfit", "unreadable")) == slide["cells"]["total"]
        )
        assert sum(slide["percent"].values()) == pytest.approx(100, abs=0.3)
        assert all(low <= slide["percent"][t] <= high for t, (low, high) in slide["ci95"].items())

    said = {
        (slide_id, path): cell_type
        for slide_id, path, cell_type in service.rows(
            """SELECT s.slide_id, p.path, q.cell_type FROM pictures p JOIN revisions r ON r.id = p.revision
               JOIN slides s ON s.id = r.slide JOIN predictions q ON q.cell = p.cell"""
        )
    }
    truth = {(name, file): t for name, slide in TRUTH.items() for file, t in slide["files"].items()}
    assert said.keys() == truth.keys()
    assert sum(said[cell] == truth[cell] for cell in truth) / len(truth) >= 0.93

    before = service.dump()
    for name in TRUTH:
        copy_in_pieces(SAMPLES / name, service.drop, 0.3)
    time.sleep(2 + 5 + 2)  # settled, and seen by a full scan as well
    assert service.dump() == before

    shutil.copy(SAMPLES / "S-0002" / "cell_001.jpg", service.drop / "S-0001" / "late.jpg")
    service.wait_for(lambda: service.states()["S-0001"] == (2, "classified"), 10)
    assert service.results()["S-0001"]["cells"]["total"] == len(TRUTH["S-0001"]["files"]) + 1
    assert [n for _, n in service.rows("SELECT slide, count(*) FROM revisions GROUP BY slide ORDER BY slide")].count(
        2
    ) == 1
    assert len(service.rows("SELECT * FROM differentials")) == 4
    assert set(CELL_TYPES) == slides["S-0001"]["counts"].keys()


@pytest.mark.parametrize("victim", ["worker", "broker", "watcher"])
def test_whatever_is_killed_the_slides_still_come_out_once(service, victim):
    large_slide(service.drop / "LARGE", 1200)
    shutil.copytree(SAMPLES / "S-0001", service.drop / "S-0001")
    if victim == "watcher":
        service.wait_for(lambda: "LARGE" in service.states(), 10)
    else:
        service.wait_for(lambda: service.rows("SELECT 1 FROM revisions WHERE claimed_by IS NOT NULL"), 30)
    service.kill(victim)
    shutil.copytree(SAMPLES / "S-0002", service.drop / "S-0002")

    def all_done() -> bool:
        states = service.states()
        return len(states) == 3 and {state for _, state in states.values()} == {"classified"}

    service.wait_for(all_done, 30)
    slides = service.results()
    large = slides["LARGE"]
    assert (large["cells"]["total"], large["cells"]["misfit"], large["cells"]["unreadable"]) == (1200, 0, 0)
    assert sum(large["counts"].values()) + large["cells"]["outside"] == 1200
    assert all(slide["revision"] == 1 for slide in slides.values())
    assert len(service.rows("SELECT * FROM differentials")) == 3
    assert (
        len(
            service.rows(
                "SELECT * FROM pictures WHERE revision = (SELECT r.id FROM revisions r JOIN slides s "
                "ON s.id = r.slide WHERE s.slide_id = 'LARGE')"
            )
        )
        == 1200
    )


def test_a_supervisor_that_is_killed_takes_its_processes_along(service):
    service.kill_supervisor()
    service.wait_for(lambda: not service.processes(), 30)
    service.start()
    shutil.copytree(SAMPLES / "S-0001", service.drop / "S-0001")
    service.wait_for(lambda: service.states().get("S-0001") == (1, "classified"), 20)
    assert [len(service.processes(name)) for name in ("broker", "watcher", "worker")] == [1, 1, 1]


def test_a_process_that_keeps_dying_is_started_again_and_again(service):
    for _ in range(4):
        service.kill("watcher")
        service.wait_for(lambda: service.processes("watcher"), 2 + 3)
    shutil.copytree(SAMPLES / "S-0003", service.drop / "S-0003")
    service.wait_for(lambda: service.states().get("S-0003") == (1, "classified"), 20)


def test_a_second_start_says_that_it_runs_already(service):
    second = subprocess.run(
        [sys.executable, "deploy/supervise.py"],
        cwd=PROJECT,
        env=service.environment,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert second.returncode == 0
    assert "already running" in second.stdout
    assert len(service.processes("watcher")) == 1


def test_the_page_alone_listens_and_on_this_machine_alone_and_nobody_else_may_enter(service):
    page = service.page()
    service.wait_for(lambda: "one-time" in service.said(), 10)
    with urlopen(f"{page}healthz", timeout=60) as answer:  # noqa: S310 - our own page
        assert answer.status == 200
    assert list(service.doors()) == [("127.0.0.1", urlsplit(page).port)]
    sockets = Settings(_env_file=None, var=service.var).socket_folder
    assert stat.S_IMODE(sockets.stat().st_mode) == 0o700


def test_it_stops_within_30_seconds_and_resumes_what_was_left(service):
    large_slide(service.drop / "LARGE", 1200)
    service.wait_for(lambda: service.rows("SELECT 1 FROM revisions WHERE claimed_by IS NOT NULL"), 30)
    assert service.stop() <= 30
    service.start()
    service.wait_for(lambda: service.states()["LARGE"] == (1, "classified"), 30)


def test_no_log_names_a_slide(service):
    shutil.copytree(SAMPLES / "S-0001", service.drop / "BARCODE-4711")
    service.wait_for(lambda: service.states().get("BARCODE-4711") == (1, "classified"), 20)
    logs = [service.said(), *(p.read_text() for p in (service.var / "logs").iterdir())]
    assert not any("4711" in log for log in logs)
