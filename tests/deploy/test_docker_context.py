"""What an image is built from: the files that .dockerignore lets through, held against what the wheel is made of."""

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import get_args

import pytest

from smear.shipped import ShippedFolder


PROJECT = Path(__file__).resolve().parents[2]
SHIPPED = get_args(ShippedFolder)


def ignored(path, rules):
    """Docker's own reading of .dockerignore: the last rule that names a path, or a folder it lies in, decides."""
    parts = path.split("/")
    above = ["/".join(parts[: n + 1]) for n in range(len(parts))]
    out = False
    for rule in rules:
        pattern = re.escape(rule.removeprefix("!")).replace(r"\*\*/", "(?:.*/)?").replace(r"\*", "[^/]*")
        if any(re.fullmatch(pattern, folder) for folder in above):
            out = not rule.startswith("!")
    return out


@pytest.fixture(scope="session")
def tracked():
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=PROJECT, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("no checkout: there is no list of files")
    return [name for name in listed.stdout.split("\0") if name and (PROJECT / name).is_file()]


@pytest.fixture(scope="session")
def context(tracked):
    """The files of the checkout that reach the build."""
    lines = (PROJECT / ".dockerignore").read_text().splitlines()
    rules = [line for line in lines if line and not line.startswith("#")]
    return {name for name in tracked if not ignored(name, rules)}


@pytest.fixture(scope="session")
def project():
    return tomllib.loads((PROJECT / "pyproject.toml").read_text())


def test_the_rules_are_read_as_docker_reads_them():
    rules = ["*", "!smear", "!deploy/one.py", "**/.*"]
    assert not ignored("smear/a/b.py", rules)
    assert not ignored("deploy/one.py", rules)
    assert all(
        ignored(name, rules) for name in ("var/wnet.sqlite", "deploy/two.py", "smear/.env", "smear/.a/b", ".env")
    )


@pytest.mark.parametrize("folder", SHIPPED)
def test_every_shipped_folder_reaches_the_build_whole(folder, tracked, context):
    needed = {name for name in tracked if name.startswith(f"{folder}/") and "/." not in name}
    assert needed
    assert needed <= context


def test_the_code_and_what_describes_it_reach_the_build(tracked, context, project):
    packages = tuple(f"{name}/" for name in project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"])
    described = {"pyproject.toml", "constraints.txt", "hatch_build.py", project["project"]["readme"]}
    needed = {name for name in tracked if name.startswith(packages) and "/." not in name} | described
    assert needed | set(project["project"]["license-files"]) | {"deploy/compile_engines.py"} <= context


def test_nothing_else_reaches_the_build(context, project):
    packages = project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    files = {"pyproject.toml", "constraints.txt", "hatch_build.py", "README.md", "LICENSE", "deploy/compile_engines.py"}
    assert {name for name in context if name not in files and name.split("/")[0] not in {*packages, *SHIPPED}} == set()
    rules = (PROJECT / ".dockerignore").read_text().splitlines()
    assert all(ignored(name, rules) for name in ("var/wnet.sqlite", ".env", "drop/S-1/cell.jpg", "smear/.env"))


def test_the_wheels_folders_are_those_that_the_code_looks_for():
    """hatchling is there at builds alone, so the one function that reads the list is run without it."""
    code = (PROJECT / "hatch_build.py").read_text().split("class ShippedFolders")[0]
    names = {}
    exec(re.sub(r"from hatchling.*\n", "", code), names)  # noqa: S102 - our own file
    assert names["shipped_folders"](PROJECT) == list(SHIPPED)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_wheel_is_built_from_the_context_and_runs_in_an_empty_environment(context, tmp_path):
    for name in context:
        (tmp_path / "context" / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(PROJECT / name, tmp_path / "context" / name)
    source, wheels, venv = tmp_path / "context", tmp_path / "wheels", tmp_path / "venv"
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "wheel", "--no-deps", "--wheel-dir", wheels, source], check=True)
    (wheel,) = wheels.iterdir()
    subprocess.run([sys.executable, "-m", "venv", venv], check=True)
    install = [venv / "bin" / "python", *pip[1:], "install", "--constraint", PROJECT / "constraints.txt", wheel]
    subprocess.run(install, check=True)
    code = f"from smear import shipped; print(*[shipped.folder(name) for name in {SHIPPED!r}], sep='\\n')"
    found = subprocess.run(
        [venv / "bin" / "python", "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True
    ).stdout.splitlines()
    assert [Path(line).parent.name for line in found] == ["_shipped"] * len(SHIPPED)
    sample = next(Path(line) for line in found if line.endswith("samples")) / "S-0001"
    done = subprocess.run(
        [venv / "bin" / "worker", "classify", sample, "--json"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, '"precision": "fp32"' in done.stdout) == (0, True), done.stderr
    weight = subprocess.run(["du", "-sm", venv], capture_output=True, text=True, check=True).stdout.split()[0]
    print(f"\ninstalled from the wheel: {weight} MB")
