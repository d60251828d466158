"""The real supervisor over wrapped processes: each line of the Procfile is led through `wrapped.py`.

FAULTS_WORKERS is how many workers there are, one by default.
"""

import os
import sys
from pathlib import Path


PROJECT = Path(__file__).resolve().parents[2]
WRAPPED = "tests/faults/wrapped.py"


def wrapped(processes: dict[str, str], workers: int) -> dict[str, str]:
    """The Procfile with every process but the compiling one led through the wrapper, and more than one worker."""
    led = {name: f"python {WRAPPED} {line}" for name, line in processes.items() if name != "compile"}
    return led | {f"worker{n}": led["worker"] for n in range(2, workers + 1)}


def main() -> int:
    """Supervise as `make run` does."""
    sys.path[0] = str(PROJECT)
    sys.path += [str(PROJECT / "deploy"), str(PROJECT / "tests")]
    import supervise
    from faults.plan import Plan

    read = supervise.read_procfile
    workers = int(os.environ.get("FAULTS_WORKERS", "1"))
    supervise.read_procfile = lambda path: wrapped(read(path), workers)
    names = frozenset({"worker", *(f"worker{n}" for n in range(2, workers + 1))})
    supervise.WORKERS = names
    plan = Plan(Path(os.environ["FAULTS_PLAN"]))
    if plan.mode("no-supervisor"):
        supervise.ONCE = names | {"broker", "watcher"}  # a process of this set is not started again
    report = supervise.WatchfulOptions._report
    supervise.WatchfulOptions._report = lambda *death: None if plan.mode("no-cap") else report(*death)
    return int(supervise.main())


if __name__ == "__main__":
    sys.exit(main())
