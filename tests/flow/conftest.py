import sys
from collections.abc import Iterator
from pathlib import Path

import pytest


sys.path.insert(0, str(Path(__file__).parent))

from service import Service


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    """A running service, stopped at the end."""
    running = Service(tmp_path / "var")
    running.start()
    yield running
    running.stop()
