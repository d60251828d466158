"""`make nightly-load`: a night with 500 new labels while slides arrive - how long it takes, and what slides feel of it.

The service runs as `make run` starts it, compiled forms in use. Bursts of slides are dropped at a steady pace, for as
long before the night as it takes to know the machine, then through the whole of a night that the service's own schedule
begins, then as long again. A slide's time is from settled to finished, as its rows tell. Writes
var/nightly-demo/load.json.
"""

import argparse
import json
import subprocess
import sys
import threading
import time
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
from laboratory import STRENGTHS, Cell, halves, picture, slides

from smear import shipped
from smear.picture_store import PictureStore
from smear.settings import Settings
from smear.store import Store
from smear.tables import utc_now
from trainer import provenance
from trainer.nightly.night import told as night_told
from worker.install import prepare


PROJECT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(PROJECT / "tests" / folder) for folder in ("flow", "trainer/nightly")]

from lab import signed_slide  # noqa: E402 - the same laboratory as in the tests
from nightly_demo import alone  # noqa: E402 - as above
from service import Service  # noqa: E402 - as above


#: A burst: so many slides of so many pictures, one burst every so many seconds.
BURST, PICTURES, PACE_SECONDS = 4, 100, 8.0
#: A night that is not over by then has failed.
NIGHT_MINUTES = 40
NIGHT = "SELECT min(started_at), max(finished_at) FROM runs"


def main() -> None:
    """Before, during, after; what came of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=PROJECT.parent / "shared" / "data")
    parser.add_argument("--out", type=Path, default=PROJECT / "var" / "nightly-demo")
    parser.add_argument("--labels", type=int, default=500)
    parser.add_argument("--minutes", type=float, default=12.0, help="Training, at most: the setting's default.")
    parser.add_argument("--quiet-minutes", type=float, default=5.0, help="Before the night, and after it.")
    asked = parser.parse_args()
    alone()
    root = asked.out.absolute() / "load"
    if root.exists():
        sys.exit(f"{root} is there: a measurement that broke off says nothing; remove it to measure again")
    (root / "var" / "in").mkdir(parents=True)
    service = Service(
        root / "var", WNET_NIGHTLY_AT="off", WNET_NIGHTLY_MINUTES=str(asked.minutes), WNET_SETTLE_SECONDS="2"
    )
    signed = sign(asked, root / "var")
    run(service, "engine_build.cli", "build", str(root / "var" / "models" / shipped.shipped_bundle().name))
    # The next whole minute after the quiet ones: the schedule knows no seconds.
    at = datetime.now().astimezone() + timedelta(minutes=asked.quiet_minutes + 1)
    service.environment["WNET_NIGHTLY_AT"] = at.strftime("%H:%M")
    service.start()
    arriving = Arriving(service.drop)
    try:
        arriving.start()
        time.sleep(60 * asked.quiet_minutes)
        wait_for_the_end(service)
        time.sleep(60 * asked.quiet_minutes)
        arriving.stop()
        service.wait_for(lambda: all(state == "classified" for _, state in arrived(service)), 120)
    finally:
        arriving.stop()
        service.stop()
    began, ended = (datetime.fromisoformat(at) for at in service.rows(NIGHT)[0])
    with closing(Store(Settings(_env_file=None, var=root / "var").database)) as store:
        night = night_told(store, service.rows("SELECT night FROM runs LIMIT 1")[0][0]).as_json()
    told = {
        "labels": signed, "night": night, "night_seconds": round((ended - began).total_seconds(), 1),
        "stages_seconds": stage_seconds(service), "burst": [BURST, PICTURES, PACE_SECONDS],
        "slides": felt(service, began, ended),
        "commit": provenance.commit(), "host": provenance.host("cpu"), "date": utc_now().date().isoformat(),
    }  # fmt: skip
    (asked.out / "load.json").write_text(json.dumps(told, indent=1) + "\n")
    print(json.dumps({"night_seconds": told["night_seconds"], "outcome": night["outcome"], **told["slides"]}))


def sign(asked: argparse.Namespace, var: Path) -> int:
    """Slides of 20 cells under a strong shift, signed, until there are so many labels; how many."""
    settings = Settings(_env_file=None, var=var, drop=str(var / "in"))
    prepare(settings)
    store, kept = Store(settings.database), PictureStore(settings.pictures_folder)
    _, lab = halves(asked.data)
    strength, signed = len(STRENGTHS) // 2, 0
    for name, own in slides([Cell(c.path, c.cell_type, None) for c in lab], 20, seed=1).items():
        if signed >= asked.labels:
            break
        signed_slide(store, kept, name, [(picture(cell, strength), cell.cell_type) for cell in own])
        signed += len(own)
    store.close()
    return signed


def run(service: Service, module: str, *arguments: str) -> str:
    """A command of the project's on the service's state; what it printed."""
    call = [sys.executable, "-c", f"from {module} import main; main()", *arguments]
    return subprocess.run(call, env=service.environment, stdout=subprocess.PIPE, text=True, check=True).stdout


def wait_for_the_end(service: Service) -> None:
    """Until the night is over, whatever came of it; asked rarely, since asking is work too."""
    began = time.monotonic()
    while time.monotonic() - began < 60 * NIGHT_MINUTES:
        time.sleep(2)
        states = {state for (state,) in service.rows("SELECT state FROM runs")}
        if states == {"done"} or {"ended", "failed"} & states:
            return
    sys.exit(f"the night was not over within {NIGHT_MINUTES} minutes")


class Arriving:
    """Drops bursts of slides of distinct contents, until stopped."""

    def __init__(self, drop: Path) -> None:
        self._drop, self._done = drop, threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._sources = [p.read_bytes() for p in sorted(shipped.folder("samples").glob("*/*.jpg"))]
        self._made = 0

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._done.set()
        self._thread.join()

    def _run(self) -> None:
        number = 0
        while True:
            for one in range(BURST):
                self._slide(self._drop / f"B-{number:04}-{one}")
            number += 1
            if self._done.wait(PACE_SECONDS):
                return

    def _slide(self, folder: Path) -> None:
        folder.mkdir()
        for i in range(PICTURES):
            copies, source = divmod(self._made, len(self._sources))
            (folder / f"{i:03}.jpg").write_bytes(self._sources[source] + b"\0" * copies)
            self._made += 1
        (folder / ".complete").touch()


def arrived(service: Service) -> list[tuple[str, str]]:
    """(slide, state) of those that were dropped."""
    query = "SELECT s.slide_id, r.state FROM slides s JOIN revisions r ON r.slide = s.id WHERE s.slide_id LIKE 'B-%'"
    return service.rows(query)  # type: ignore[return-value]


def felt(service: Service, began: datetime, ended: datetime) -> dict:
    """Mean seconds of a slide with and without a night under way, and by how much that is slower, with 95 % limits."""
    rows = service.rows(
        """SELECT r.settled_at, r.finished_at FROM slides s JOIN revisions r ON r.slide = s.id
           WHERE s.slide_id LIKE 'B-%' AND r.state = 'classified'"""
    )
    during, without = [], []
    for settled, finished in ((datetime.fromisoformat(a), datetime.fromisoformat(b)) for a, b in rows):
        (during if began <= settled <= ended else without).append((finished - settled).total_seconds())
    rng = np.random.default_rng(0)
    a, b = np.array(without), np.array(during)
    draws = [rng.choice(b, len(b)).mean() / rng.choice(a, len(a)).mean() - 1 for _ in range(2000)]

    def told(seconds: np.ndarray) -> dict:
        mean, median = round(float(seconds.mean()), 4), round(float(np.median(seconds)), 4)
        return {"slides": len(seconds), "mean_seconds": mean, "median_seconds": median}

    return {
        "without": told(a),
        "during": told(b),
        "slower": round(float(b.mean() / a.mean() - 1), 4),
        "slower_ci95": [round(float(x), 4) for x in np.percentile(draws, [2.5, 97.5])],
    }


def stage_seconds(service: Service) -> dict[str, float]:
    """How long each stage took."""
    query = "SELECT stage, (julianday(finished_at) - julianday(started_at)) * 86400 FROM runs WHERE state = 'done'"
    return {stage: round(seconds, 1) for stage, seconds in service.rows(query)}


if __name__ == "__main__":
    main()
