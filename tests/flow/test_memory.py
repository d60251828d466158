"""Does a worker's memory stay flat? Two hundred slides through the running service."""

import shutil

import pytest

from smear import shipped


SLIDES, EARLY, GROWTH_MB = 200, 20, 30
SAMPLE = shipped.folder("samples") / "S-0001"


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_worker_after_200_slides_holds_no_more_than_30_mb_over_its_size_after_20(service):
    (worker,) = service.processes("worker")
    sizes_mb = {}
    for s in range(SLIDES):
        shutil.copytree(SAMPLE, service.drop / f"M-{s:04d}")
        if s + 1 in {EARLY, SLIDES}:
            wanted = s + 1
            service.wait_for(lambda wanted=wanted: len(service.rows("SELECT 1 FROM differentials")) == wanted, 300)
            sizes_mb[wanted] = worker.memory_info().rss / 2**20
    print(f"\nresident after {EARLY} slides {sizes_mb[EARLY]:.0f} MB, after {SLIDES} {sizes_mb[SLIDES]:.0f} MB")
    assert sizes_mb[SLIDES] - sizes_mb[EARLY] <= GROWTH_MB
