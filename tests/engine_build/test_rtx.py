"""TensorRT-RTX on a machine without a GPU: plans are built, and using them there is a sentence, not a crash.

The package is an extra (`.[rtx]`, 95 MB): without it these tests are skipped, and with REQUIRE_RTX=1 they fail.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from smear import bundle as bundles
from smear import shipped
from smear.shipped import shipped_bundle
from worker.engines import driver, trt
from worker.engines.forms import StoredForm, stored_forms


pytestmark = pytest.mark.timeout(900)


@pytest.fixture(scope="module")
def plans(tmp_path_factory):
    """(engines folder, what `engine-build build --json` printed for each precision), built from the shipped bundle."""
    if not trt.present("tensorrt_rtx_bindings") and not trt.present("tensorrt_rtx"):
        (pytest.fail if os.environ.get("REQUIRE_RTX") == "1" else pytest.skip)(
            "needs TensorRT-RTX: pip install -c constraints.txt -e '.[rtx]'"
        )
    if driver.problem() is None:
        pytest.skip("this host has an NVIDIA driver: what a machine without one does is not seen here")
    few, var = tmp_path_factory.mktemp("few"), tmp_path_factory.mktemp("var")
    for folder in shipped.folder("holdout").iterdir():
        if folder.is_dir():
            (few / folder.name).mkdir()
            for picture in sorted(folder.iterdir())[:4]:
                shutil.copyfile(picture, few / folder.name / picture.name)
    options = ("--backend", "tensorrt", "--data", few, "--geometry", "whole", "--json")
    done = engine_build(var, "build", shipped_bundle(), *options)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("was built and not run: there is no NVIDIA driver here") == 3
    printed = [json.loads(line) for line in done.stdout.splitlines()]
    return var, {one["precision"]: one for one in printed}


def engine_build(var: Path, *arguments: object) -> "subprocess.CompletedProcess[str]":
    """The command in a process of its own: a crash is then seen as one."""
    code = "from engine_build.cli import main; main()"
    environment = os.environ | {"WNET_VAR": str(var), "COLUMNS": "200"}
    return subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        env=environment, capture_output=True, text=True, timeout=600, check=False,
    )  # fmt: skip


def test_plans_in_float32_float16_and_int8_are_built_from_the_shipped_bundle(plans):
    _, built = plans
    for precision, one in built.items():
        print(f"TensorRT-RTX {one['version']}, {precision}: {one['megabytes']} MB")
        assert (one["runtime"], one["device"], one["verification"]) == ("tensorrt_rtx", "any", None)
    sizes = {precision: one["megabytes"] for precision, one in built.items()}
    assert set(sizes) == {"fp32", "fp16", "int8"}
    # Four bytes a parameter, two, and one in the layers that int8 takes.
    assert sizes["fp32"] == pytest.approx(67.6, abs=3)
    assert sizes["fp16"] == pytest.approx(34, abs=3)
    assert sizes["int8"] == pytest.approx(17.5, abs=3)


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["verify", "--limit", "2"], 0, "tensorrt-int8 is left out: there is no NVIDIA driver here"),
        (["verify", "--engine", "tensorrt"], 2, "there is no NVIDIA driver here"),
        (["inspect"], 0, None),
    ],
    ids=["verify", "verify tensorrt", "inspect"],
)
def test_using_them_here_is_one_sentence_and_no_crash(plans, arguments, code, says):
    var, _ = plans
    command, *options = arguments
    done = engine_build(var, command, shipped_bundle(), *options)
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    if says:
        assert f"engine-build: {says}" in done.stderr
    else:
        assert "tensorrt-fp16" in done.stdout
        assert "built, not run here" in done.stdout


def test_a_worker_says_so_and_runs_on_the_cpu(plans, make_slide, tmp_path):
    var, _ = plans
    make_slide(tmp_path / "slides", "S-1", 2)
    code = "from worker.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code, "classify", str(tmp_path / "slides"), "--json"],
        env=os.environ | {"WNET_VAR": str(var)}, capture_output=True, text=True, timeout=600, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["backend"].startswith("openvino-")
    assert "worker: TensorRT is not used: there is no NVIDIA driver here" in done.stderr


def test_loading_one_all_the_same_gives_no_engine_and_no_crash(plans):
    """What the engine never does; should it, the process must live on with a reason."""
    var, _ = plans
    bundle = bundles.load(shipped_bundle())
    (plan,) = [
        one
        for one in stored_forms(var / "engines", bundle)
        if isinstance(one, StoredForm) and one.form.precision == "int8"
    ]
    code = """
import sys, pathlib
from worker.engines import trt
from worker.engines.face import EngineUnavailable
loaded, said = trt.load("tensorrt_rtx"), []
logger = trt.logger(loaded, said)
try:
    runtime = trt.start(loaded.module.Runtime, logger, said)
    print(runtime.deserialize_cuda_engine(pathlib.Path(sys.argv[1]).read_bytes()))
except EngineUnavailable as error:
    print(None)
"""
    done = subprocess.run(
        [sys.executable, "-c", code, str(plan.folder / "network.plan")], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout.splitlines()[-1:]) == (0, ["None"]), done.stderr
