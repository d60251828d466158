"""deploy/README.md stays true: what it names is there, and what it tells people to type is accepted."""

import re

import pytest
from command_lines import PROJECT, refusal
from unit_files import UNITS

from smear.settings import Settings


README = (PROJECT / "deploy" / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```\n(.*?)^```", README, re.DOTALL | re.MULTILINE)
LINES = [line.split(" #")[0].strip() for block in BLOCKS for line in block.split("\n")]
#: What stands behind this is a command of ours.
WRAPPER = "systemd-run --quiet --pipe --wait --collect --unit=wnet-ask /opt/wnet-worker/.venv/bin/"


def our_commands() -> list[str]:
    found = []
    for line in LINES:
        inside = re.sub(r"^docker compose .* exec \w+ ", "", line)
        inside = inside.removeprefix(WRAPPER)
        if re.match(r"(worker|celery|engine-build) ", inside):
            found.append(inside)
    return found


@pytest.mark.parametrize("command", our_commands())
def test_a_command_is_accepted(command):
    assert refusal(command) is None


def test_commands_were_found():
    assert len(our_commands()) >= 7


def test_every_file_it_names_is_there():
    named = set(re.findall(r"deploy/[\w./@-]*\w", README))
    assert len(named) > 5
    assert not {name for name in named if not (PROJECT / name).exists()}


def test_every_unit_it_starts_is_there():
    started = {unit for line in LINES if line.startswith("systemctl") for unit in re.findall(r"\bwnet-[a-z]+", line)}
    there = {path.stem.rstrip("@") for path in UNITS.glob("wnet-*.service")}
    assert started == there


def test_every_variable_it_names_is_a_setting_or_the_compose_files_own():
    compose = (PROJECT / "deploy" / "docker" / "compose.yaml").read_text()
    own = set(re.findall(r"\$\{(WNET_\w+)", compose))
    assert (
        set(re.findall(r"\bWNET_[A-Z_]+", README)) <= {f"WNET_{name.upper()}" for name in Settings.model_fields} | own
    )
