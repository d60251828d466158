"""A picture that crashes the worker, in the service as it runs: found, set aside, and nobody else pays."""

import os
import shutil

import pytest
from service import Service

from smear import shipped


SAMPLES = shipped.folder("samples")
#: A comment segment behind a JPEG's start marker: what the planted fault looks for. The picture is whole in all else.
MARK = b"\xff\xfe\x00\x08DEADLY"

#: Python runs this at every start: whoever imports worker.reading gets a decoder that crashes over the mark.
PLANT = """
import importlib.util
import os
import signal
import sys


class Plant:
    def find_spec(self, name, path=None, target=None):
        if name != "worker.reading":
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        load = spec.loader.exec_module

        def exec_module(module):
            load(module)
            decode = module.to_pixels

            def to_pixels(data, geometry):
                if b"DEADLY" in data[:64]:
                    os.kill(os.getpid(), signal.SIGSEGV)
                return decode(data, geometry)

            module.to_pixels = to_pixels

        spec.loader.exec_module = exec_module
        return spec


sys.meta_path.insert(0, Plant())
"""


@pytest.fixture
def planted(tmp_path):
    """A running service whose worker crashes over the mark."""
    folder = tmp_path / "plant"
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(PLANT)
    path = os.pathsep.join([str(folder), *filter(None, [os.environ.get("PYTHONPATH")])])
    running = Service(tmp_path / "var", PYTHONPATH=path)
    running.start()
    yield running
    running.stop()


def state_of(service, slide):
    return service.states().get(slide)


@pytest.mark.timeout(900)
def test_a_picture_that_crashes_the_worker_is_set_aside_after_three_deaths(planted):
    slide = planted.drop / "S-0001"
    slide.parent.mkdir(exist_ok=True)
    shutil.copytree(SAMPLES / "S-0001", slide)
    whole = (slide / "cell_001.jpg").read_bytes()
    (slide / "deadly.jpg").write_bytes(whole[:2] + MARK + whole[2:])
    shutil.copytree(SAMPLES / "S-0002", planted.drop / "S-0002")
    planted.wait_for(lambda: state_of(planted, "S-0001") == (1, "classified"), 600)
    planted.wait_for(lambda: state_of(planted, "S-0002") == (1, "classified"), 600)
    found = planted.results()
    pictures = len(list((SAMPLES / "S-0001").glob("*.jpg")))
    assert (found["S-0001"]["cells"]["total"], found["S-0001"]["cells"]["unreadable"]) == (pictures + 1, 1)
    assert [p["file"] for p in found["S-0001"]["problems"]] == ["deadly.jpg"]
    assert found["S-0002"]["problems"] == []
    assert planted.rows("SELECT attempts, deaths FROM revisions ORDER BY id") in ([(4, 3), (1, 0)], [(1, 0), (4, 3)])
    assert planted.rows("SELECT deaths, ended FROM suspects") == [(2, "was ended by SIGSEGV")]
    # The supervisor said so: no lease had to run out.
    assert planted.said().count('worker="was ended by SIGSEGV"') == 3


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_killed_workers_slide_is_claimed_again_within_the_lease_and_5_seconds(service):
    slide = service.drop / "LARGE"
    slide.mkdir(parents=True)
    source = (SAMPLES / "S-0001" / "cell_001.jpg").read_bytes()
    for n in range(2000):
        (slide / f"cell_{n:04}.jpg").write_bytes(source + b"\0" * n)
    held = "SELECT claimed_by, deaths FROM revisions WHERE claimed_by IS NOT NULL"
    service.wait_for(lambda: service.rows(held), 120)
    ((first, _),) = service.rows(held)
    service.kill("worker")
    waited = service.wait_for(lambda: [name for name, _ in service.rows(held) if name != first], 15 + 5)
    print(f"\nclaimed again after {waited:.1f} s")
    assert [deaths for _, deaths in service.rows(held)] == [0]
    service.wait_for(lambda: state_of(service, "LARGE") == (1, "classified"), 300)
