"""`make bench-watch`: what watching an archive costs, to var/bench-watch.json.

For 1,000, 10,000 and 100,000 folders of 10 files that are all finished: seconds (by the wall, of the process) for the
start-up (what the database knows, the kernel's watches, the first scan), for a scan that finds nothing new, and for one
that finds a late file in ten folders; how many slides were looked at; the most memory. Each size in its own process.

    python tests/bench/bench_watch.py [--slides N]... [--folder DIR] [--observer native|polling|none]
"""

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

from host import PROJECT, commit, machine
from sqlalchemy import insert

from smear.layout import layout
from smear.settings import Settings
from smear.store import Store, migrate
from smear.tables import RevisionRow, SlideRow, SourceRow, utc_now
from worker.watch import source as watching
from worker.watch.observe import Observing
from worker.watch.source import SourceWatch


SIZES, FILES, CHANGED, BATCH = (1_000, 10_000, 100_000), 10, 10, 5_000


def name(number):
    return f"A-{number:07d}"


def make_archive(drop: Path, slides: int) -> None:
    """Folders of ten small files; what is in them is never read here."""
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda start: make_folders(drop, range(start, min(start + 500, slides))), range(0, slides, 500)))


def make_folders(drop: Path, numbers: range) -> None:
    for number in numbers:
        folder = f"{drop}/{name(number)}"
        Path(folder).mkdir()
        for file in range(FILES):
            os.close(os.open(f"{folder}/c{file}.jpg", os.O_CREAT | os.O_WRONLY, 0o644))


def make_database(settings: Settings, drop: Path, slides: int) -> None:
    """Every slide classified sixty days ago, under the signature that its folder has."""
    store = Store(settings.database)
    migrate(store, settings.var / "lock")
    then = utc_now() - timedelta(days=60)
    with store.write() as session:
        session.add(SourceRow(name="default", layout="slides", geometry="di60"))
    for start in range(0, slides, BATCH):
        numbers = range(start, min(start + BATCH, slides))
        with store.write() as session:
            session.execute(insert(SlideRow), [
                {"id": n + 1, "source_id": 1, "slide_id": name(n), "folder": name(n), "first_seen_at": then}
                for n in numbers
            ])  # fmt: skip
            session.execute(insert(RevisionRow), [
                {"slide": n + 1, "number": 1, "state": "classified", "arrived_at": then, "finished_at": then,
                 "signature": str((drop / name(n)).stat().st_mtime_ns), "attempts": 1, "token": 1, "beat": 1, "rank": 0}
                for n in numbers
            ])  # fmt: skip
    store.close()


class Timed:
    def __init__(self):
        self.wall, self.process = time.perf_counter(), time.process_time()

    def told(self):
        return {
            "wall_seconds": round(time.perf_counter() - self.wall, 2),
            "process_seconds": round(time.process_time() - self.process, 2),
        }


def scan(watch, now):
    """Step until everything is compared, and everything due looked at."""
    watch._scan_due = now
    watch.step(now)
    while watch.busy:
        watch.step(now)


def measure(settings: Settings, slides: int) -> dict:
    looks = 0
    look = watching.Looker.look

    def counted(*arguments, **named):
        nonlocal looks
        looks += 1
        return look(*arguments, **named)

    watching.Looker.look = counted
    (source,) = settings.sources
    timed = Timed()
    store = Store(settings.database)
    observing = Observing(source.root, layout(source.layout), settings.observer)
    watch = SourceWatch(store, source, settings, observing)
    now = 1000.0
    scan(watch, now)
    told_scan = timed.told()
    while observing._starting is not None:  # the kernel's watches are set aside, and end with another scan
        time.sleep(0.05)
        watch.step(now)
        while watch.busy:
            watch.step(now)
    told = {"slides": slides, "events": observing.kind, "scanned": told_scan, "start": timed.told() | {"looks": looks}}
    looks, timed = 0, Timed()
    scan(watch, now + 60)
    told["unchanged"] = timed.told() | {"looks": looks}
    for number in range(0, slides, slides // CHANGED):
        (source.root / name(number) / "late.jpg").touch()
    observing.wakes.take()
    looks, timed = 0, Timed()
    scan(watch, now + 120)
    told["ten_changed"] = timed.told() | {"looks": looks}
    told["peak_mb"] = round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
    watch.stop()
    return told


def in_its_own_process(slides: int, folder: Path | None, observer: str) -> dict:
    scratch = Path(tempfile.mkdtemp(prefix="bench-watch-", dir=folder))
    drop = scratch / "drop"
    drop.mkdir()
    try:
        make_archive(drop, slides)
        settings = Settings(_env_file=None, var=scratch / "var", drop=str(drop), observer=observer)
        make_database(settings, drop, slides)
        arguments = ["--measure", str(scratch), "--slides", str(slides), "--observer", observer]
        done = subprocess.run([sys.executable, __file__, *arguments], check=True, stdout=subprocess.PIPE, text=True)
        return json.loads(done.stdout.splitlines()[-1])
    finally:
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(shutil.rmtree, drop.iterdir()))
        shutil.rmtree(scratch)


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--slides", type=int, action="append")
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--observer", default="native")
    parser.add_argument("--measure", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.measure is not None:
        drop = str(given.measure / "drop")
        settings = Settings(_env_file=None, var=given.measure / "var", drop=drop, observer=given.observer)
        print(json.dumps(measure(settings, given.slides[0])))
        return
    told = {
        "machine": machine("sqlalchemy", "watchdog"),
        "commit": commit(),
        "date": utc_now().isoformat(timespec="seconds"),
        "files_a_slide": FILES,
        "sizes": [],
    }
    out = PROJECT / "var" / "bench-watch.json"
    out.parent.mkdir(exist_ok=True)
    for slides in given.slides or SIZES:
        told["sizes"].append(in_its_own_process(slides, given.folder, given.observer))
        print(json.dumps(told["sizes"][-1]), file=sys.stderr)
        out.write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")
    print(f"-> {out}")


if __name__ == "__main__":
    main()
