"""What of an optional set of packages is missing, found without importing any of it."""

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from smear import extras


PROJECT = Path(__file__).parents[2]


def test_packages_that_are_there_are_not_missing():
    assert extras.missing("engines") == []


def test_a_package_that_cannot_be_imported_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    assert extras.missing("train") == ["torch"]


def test_nothing_is_imported_to_find_out():
    code = "import sys; from smear import extras; extras.missing('train'); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_line_names_this_very_python_and_the_pinned_versions():
    line = extras.install_line("train")
    assert line == f"{sys.executable} -m pip install -c constraints.txt --editable '.[train]'"


@pytest.mark.parametrize("extra", extras.MODULES)
def test_the_modules_are_those_that_the_project_declares(extra):
    declared = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]["optional-dependencies"][extra]
    names = {line.split("=")[0].split(">")[0] for line in declared}
    assert {{"sklearn": "scikit-learn"}.get(name, name) for name in extras.MODULES[extra]} == names
