"""The Dockerfiles, as far as they can be judged without a docker daemon."""

import json
import re
import subprocess
import sys
import tomllib
from dataclasses import dataclass

import pytest
from command_lines import PROJECT, procfile, refusal
from supervise import read_procfile
from unit_files import services

from smear.settings import Settings


FOLDER = PROJECT / "deploy" / "docker"
FILES = sorted(FOLDER.glob("*.Dockerfile"))
SETTINGS = {f"WNET_{name.upper()}" for name in Settings.model_fields}
every_file = pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)


@dataclass(frozen=True)
class Stage:
    base: str
    name: str
    #: (instruction, its text)
    steps: tuple[tuple[str, str], ...]

    def all(self, instruction: str) -> list[str]:
        return [text for i, text in self.steps if i == instruction]


def stages(path) -> list[Stage]:
    lines = [line for line in path.read_text().splitlines() if not line.lstrip().startswith("#")]
    joined = re.sub(r"\\\n\s*", " ", "\n".join(lines))
    found: list[Stage] = []
    steps: list[tuple[str, str]] = []
    for line in filter(None, joined.splitlines()):
        instruction, text = line.split(" ", 1)
        if instruction == "FROM":
            steps = []
            base, _, name = text.partition(" AS ")
            found.append(Stage(base, name, ()))
        steps.append((instruction, text.strip()))
        found[-1] = Stage(found[-1].base, found[-1].name, tuple(steps))
    return found


def variables(stage: Stage) -> dict[str, str]:
    return dict(word.split("=", 1) for text in stage.all("ENV") for word in text.split())


@every_file
def test_every_base_is_pinned_to_a_version(path):
    for stage in stages(path):
        assert re.search(r":\d+\.\d+\.\d+-", stage.base), stage.base


@every_file
def test_the_last_stage_brings_the_python_that_the_packages_were_built_with(path):
    *_, build, last = stages(path)
    version = re.compile(r"python:(\d+\.\d+\.\d+)-.*(bookworm)")
    assert version.search(build.base).groups() == version.search(last.base).groups()


@every_file
def test_the_last_stage_builds_and_installs_nothing(path):
    last = stages(path)[-1]
    assert last.base.endswith("-slim-bookworm")
    done = " ".join(last.all("RUN"))
    assert not re.search(r"apt|gcc|g\+\+|nvcc|pip install|make\b|curl|wget", done)
    assert re.search(r"pip uninstall --yes .*\bpip\b", done)
    assert last.all("COPY") == ["--from=build /opt/wnet /opt/wnet"]


@every_file
def test_it_runs_as_a_numbered_user_who_is_not_root(path):
    last = stages(path)[-1]
    (user,) = last.all("USER")
    assert re.fullmatch(r"[1-9]\d+:[1-9]\d+", user)
    assert f"--uid {user.split(':')[0]}" in " ".join(last.all("RUN"))
    # Whatever comes after USER asks for no more rights.
    after = [i for i, _ in last.steps][[i for i, _ in last.steps].index("USER") :]
    assert "RUN" not in after


@every_file
def test_what_is_installed_is_what_the_constraints_pin(path):
    """The one line of Python in the file, run: what it writes is what pip is asked for."""
    build = stages(path)[-2]
    script = re.search(r"python -c '([^']+)'", " ".join(build.all("RUN")))[1]
    written = subprocess.run(
        [sys.executable, "-c", script], cwd=PROJECT, capture_output=True, text=True, check=True
    ).stdout.split("\n")
    asked = {re.split(r"[\[=<>]", line.strip())[0] for line in written if line.strip()}
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    wanted = [*project["dependencies"], *extras["postgres"]]
    if path.stem == "gpu":
        wanted += extras["engines"]
        wanted += [line for line in extras["gpu"] if not line.startswith("wnet-worker")]
    assert asked == {re.split(r"[\[=<>]", line)[0] for line in wanted}
    assert all("-c constraints.txt" in run or "--no-deps" in run for run in build.all("RUN") if "install --no-c" in run)
    pinned = {line.split("==")[0].lower() for line in (PROJECT / "constraints.txt").read_text().splitlines()}
    # These two come from elsewhere; pyproject.toml says which.
    assert {name.lower() for name in asked} - {"tensorrt", "pycuda"} <= pinned


@every_file
def test_variables_are_settings(path):
    ours = {name for name in variables(stages(path)[-1]) if name.startswith("WNET_")}
    assert {"WNET_VAR", "WNET_DROP"} <= ours <= SETTINGS


@every_file
def test_health_is_what_worker_status_says(path):
    (check,) = stages(path)[-1].all("HEALTHCHECK")
    shell, option, line = json.loads(check.split("CMD", 1)[1])
    assert (shell, option) == ("sh", "-c")
    # docker reserves every exit code but 0 and 1.
    assert line == "worker status --json > /dev/null || exit 1"
    assert refusal("worker status --json") is None


@every_file
def test_what_it_starts_is_a_line_of_the_procfile(path):
    (command,) = stages(path)[-1].all("CMD")
    line = " ".join(json.loads(command))
    assert line == procfile()["worker" if path.stem == "gpu" else "watcher"]
    assert refusal(line) is None
    assert stages(path)[-1].all("STOPSIGNAL") == ["SIGTERM"]


def test_the_procfile_was_read():
    assert read_procfile(PROJECT / "Procfile").keys() == services().keys() - {"migrate"}
