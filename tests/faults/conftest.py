"""The stage of the short forms: one pool of slides with their answer, one service for parts that agree on settings."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest


sys.path.append(str(Path(__file__).parents[1]))

from faults.ground_truth import Pool
from faults.stage import Stage


#: Slides of the pool, and pictures a slide: small, so that much happens.
SLIDES, CELLS = 24, 14


@pytest.fixture(scope="session")
def pool(tmp_path_factory: pytest.TempPathFactory) -> Pool:
    return Pool(tmp_path_factory.mktemp("pool") / "slides", SLIDES, CELLS)


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory, pool: Pool) -> Iterator[Stage]:
    made = Stage(tmp_path_factory.mktemp("stage"), pool, patience=float(os.environ.get("FAULTS_PATIENCE", "2")))
    yield made
    made.close()
