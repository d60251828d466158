"""`trainer` and `engine-build` on an install that only runs slides: help works, all else is one sentence."""

import subprocess
import sys

import pytest

from smear import extras


#: As on an install without the extras: what is not on the path is not there, and importlib says so.
_HIDING = """
import sys
from importlib.machinery import PathFinder

HIDDEN = {hidden!r}
whole = PathFinder.find_spec

class Finder:
    @staticmethod
    def find_spec(name, path=None, target=None):
        return None if name.partition(".")[0] in HIDDEN else whole(name, path, target)

sys.meta_path = [Finder if finder is PathFinder else finder for finder in sys.meta_path]
sys.argv = {argv!r}
from {room}.start import main
main()
"""


def run(room, *arguments, hidden):
    name = {"engine_build": "engine-build"}.get(room, room)
    code = _HIDING.format(hidden=set(hidden), argv=[name, *arguments], room=room)
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=120)


def test_the_hiding_hides():
    code = _HIDING.split("sys.argv", maxsplit=1)[0].format(hidden={"torch"}) + "\nimport torch"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "ModuleNotFoundError: No module named 'torch'" in done.stderr


@pytest.mark.parametrize(
    ("room", "extra", "arguments"),
    [
        ("trainer", "train", ["--help"]),
        ("trainer", "train", ["-h"]),
        ("trainer", "train", ["--version"]),
        ("trainer", "train", ["--show-completion", "bash"]),
        ("trainer", "train", ["cv", "--help"]),
        ("trainer", "train", ["cv", "-h"]),
        ("engine_build", "engines", ["-h"]),
        ("engine_build", "engines", ["--version"]),
        ("trainer", "train", ["nightly", "--help"]),
        ("engine_build", "engines", ["build", "--help"]),
    ],
)
def test_help_without_the_packages_is_the_very_help(room, extra, arguments):
    without = run(room, *arguments, hidden=extras.MODULES[extra])
    assert (without.returncode, without.stderr) == (0, "")
    assert without.stdout == run(room, *arguments, hidden=()).stdout
    assert without.stdout


@pytest.mark.parametrize(("room", "extra"), [("trainer", "train"), ("engine_build", "engines")])
def test_the_version_needs_no_packages(room, extra):
    without = run(room, "--version", hidden=extras.MODULES[extra])
    assert (without.returncode, without.stdout.split()[0], without.stderr) == (0, "wnet-worker", "")


@pytest.mark.parametrize(
    ("room", "extra", "arguments"),
    [
        ("trainer", "train", ["describe"]),
        ("trainer", "train", ["nightly"]),
        ("trainer", "train", ["nonsense"]),
        ("engine_build", "engines", ["inspect"]),
    ],
)
def test_a_command_without_the_packages_is_one_sentence_with_the_line_that_installs_them(room, extra, arguments):
    done = run(room, *arguments, hidden=extras.MODULES[extra])
    assert (done.returncode, done.stdout) == (2, "")
    (sentence,) = done.stderr.splitlines()
    assert sentence.endswith(f"-m pip install -c constraints.txt --editable '.[{extra}]'")
    assert ("torch" if extra == "train" else "onnx") in sentence


def test_engine_build_needs_nncf_for_int8_alone():
    done = run("engine_build", "inspect", "--json", hidden=["nncf"])
    assert done.returncode == 0, done.stderr
