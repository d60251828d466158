"""Is there a driver? Answered without a CUDA call, so that it may be asked before a fork and without a GPU."""

import subprocess
import sys

from worker.engines import driver


def test_a_missing_driver_is_one_sentence():
    assert driver.problem("libcuda-that-is-not.so.1") == (
        "there is no NVIDIA driver here (libcuda-that-is-not.so.1 is not found)"
    )
    assert driver.version("libcuda-that-is-not.so.1") is None


def test_a_library_that_loads_is_no_problem():
    assert driver.problem("libc.so.6") is None


def test_asking_for_tensorrt_where_there_is_none_loads_none_of_it():
    code = (
        "import sys; from worker.engines.tensorrt import missing; print(missing());"
        "sys.exit(' '.join({'tensorrt', 'tensorrt_rtx', 'tensorrt_rtx_bindings', 'pycuda'} & set(sys.modules)) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
