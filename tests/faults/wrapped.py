"""A process of the service with faults in it: `wrapped.py worker watch`, `wrapped.py celery -A worker ...`.

The product knows nothing of faults. This entry point takes the place of the console script: it puts a wrapper around
the functions named in `steps.py`, and hands over to the real one. Without a ticket a wrapper only passes on.
"""

import importlib
import os
import resource
import sys
from pathlib import Path


PROJECT = Path(__file__).resolve().parents[2]


def main() -> None:
    """Become the console script that the arguments name."""
    sys.path[0] = str(PROJECT)
    sys.path.append(str(PROJECT / "tests"))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # what dies here is meant to
    del sys.argv[0]
    program, rest = sys.argv[0], sys.argv[1:]
    role = {"celery": "worker", "worker": rest[0] if rest else "", "review": "page"}[program]
    if role in {"worker", "watch"}:
        from faults.plan import Plan
        from faults.steps import install

        install(Plan(Path(os.environ["FAULTS_PLAN"])), role)
    module = {"celery": "celery.__main__", "worker": "worker.cli", "review": "review.cli"}[program]
    sys.exit(importlib.import_module(module).main())


if __name__ == "__main__":
    main()
