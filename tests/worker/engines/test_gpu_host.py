"""A GPU host from end to end, in processes as a user starts them: build a plan, let a Celery worker on `solo` use it.

On a fake host everywhere - a PyCUDA and a TensorRT that are none (fake_host), and a driver that merely loads - and on
a real one where there is one.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from sqlmodel import select

from smear import shipped
from smear.shipped import shipped_bundle
from smear.store import Store
from smear.tables import DifferentialRow
from worker import arrivals
from worker.engines.tensorrt import missing
from worker.install import prepare
from worker.queue import publish, sender
from worker.results import results


FAKE_HOST = Path(__file__).parent / "fake_host"


@pytest.fixture(params=["fake", pytest.param("real", marks=pytest.mark.gpu)])
def environment(request, settings, tmp_path):
    """The variables of a process on a GPU host."""
    given = os.environ | {"WNET_VAR": str(settings.var), "WNET_DROP": settings.drop, "REMAP_SIGTERM": "SIGQUIT"}
    if request.param == "real":
        if lacking := missing():
            (pytest.fail if os.environ.get("REQUIRE_GPU") == "1" else pytest.skip)("; ".join(lacking))
        return given
    libraries = re.findall(r"(/\S*/libc\.so\.6)$", Path("/proc/self/maps").read_text(), re.MULTILINE)
    if not libraries:
        pytest.skip("needs Linux with the GNU C library, to stand for a driver's library")
    (tmp_path / "libraries").mkdir()
    (tmp_path / "libraries" / "libcuda.so.1").symlink_to(libraries[0])
    paths = [str(FAKE_HOST), str(Path(__file__).parents[3]), os.environ.get("PYTHONPATH", "")]
    return given | {"LD_LIBRARY_PATH": str(tmp_path / "libraries"), "PYTHONPATH": os.pathsep.join(filter(None, paths))}


@pytest.fixture
def few(tmp_path):
    """A labelled folder of twenty cells of the hold-out."""
    for folder in shipped.folder("holdout").iterdir():
        if folder.is_dir():
            (tmp_path / "few" / folder.name).mkdir(parents=True)
            for picture in sorted(folder.iterdir())[:4]:
                shutil.copyfile(picture, tmp_path / "few" / folder.name / picture.name)
    return tmp_path / "few"


def run(environment, tmp_path, module, *arguments):
    """A console script's main; its objects on standard output."""
    code = f"import sys; sys.argv[0] = {module!r}; from {module} import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=600, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.mark.timeout(1800)
def test_a_plan_is_built_verified_and_used_by_a_celery_worker_on_solo(
    environment, settings, drop, make_slide, few, broker, tmp_path
):
    options = ("--backend", "tensorrt", "--precision", "fp32", "--data", few, "--geometry", "whole", "--json")
    (built,) = run(environment, tmp_path, "engine_build.cli", "build", shipped_bundle(), *options)
    assert (built["form"], built["verification"]["images"]) == ("tensorrt-fp32", 15)
    assert built["verification"]["reasons"] == []
    assert built["compute_capability"]

    environment = environment | {"WNET_ENGINE": "tensorrt"}
    broker.start()
    prepare(settings)
    store, app = Store(settings.database), sender(settings)
    make_slide(drop, "S-1", 60)
    source = arrivals.register_source(store, settings.sources[0])
    known = arrivals.open_slide(store, source, "S-1", "S-1")
    arrivals.settle(store, known.revision, None, blood=True)
    publish(app, known.revision)

    log = tmp_path / "worker.log"
    with log.open("w") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", "celery", "-A", "worker", "worker", "-Q", "slides", "-P", "solo"],
            cwd=tmp_path, env=environment, stdout=file, stderr=file,
        )  # fmt: skip
    try:
        deadline = time.monotonic() + 300
        while [r.revision.state for r in results(store)] != ["classified"]:
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.1)
        process.terminate()
        process.wait(120)
    finally:
        process.kill()
        process.wait()
    with store.read() as session:
        assert session.exec(select(DifferentialRow)).one().backend == "tensorrt-fp32"
    store.close()
    said = log.read_text()
    assert "Traceback" not in said
    assert "PyCUDA WARNING" not in said  # so it says where something was left behind

    findings = {one["name"]: one for one in run_doctor(environment, tmp_path)}
    assert findings["gpu"]["verdict"] == "good"
    assert findings["gpu"]["found"].startswith("tensorrt-fp32 runs ")


def run_doctor(environment, tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", "from worker.cli import main; main()", "doctor", "--json"],
        cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=600, check=False,
    )  # fmt: skip
    assert done.returncode in {0, 1}, done.stderr  # a full disk is no fault of ours
    return [json.loads(line) for line in done.stdout.splitlines()]
