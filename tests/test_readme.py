"""The README stays true: its tree names every source file, its settings are all there are."""

import re
import subprocess
from pathlib import Path

from smear.settings import Settings


PROJECT = Path(__file__).resolve().parents[1]
ROOMS = ("smear", "worker", "trainer", "engine_build", "review", "deploy")
README = (PROJECT / "README.md").read_text(encoding="utf-8")


def test_the_tree_gives_each_source_file_one_line():
    tree = README.split("## Where things are")[1].split("```")[1]
    named, room = [], ""
    for line in tree.splitlines():
        if match := re.match(r"(\w+)/$", line):
            room = match[1]
        elif match := re.match(r"  (\S+\.py) ", line):
            named.append(f"{room}/{match[1]}")
    tracked = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", *ROOMS],
        cwd=PROJECT, capture_output=True, text=True, check=True,
    ).stdout.split()  # fmt: skip
    sources = [f for f in tracked if f.endswith(".py") and "/versions/" not in f and not f.endswith("__init__.py")]
    assert sorted(named) == sorted(f for f in sources if (PROJECT / f).exists())


def test_every_setting_is_explained_and_no_other():
    explained = set(re.findall(r"`WNET_([A-Z_]+)`", README.split("## Settings")[1].split("## Training")[0]))
    assert explained == {name.upper() for name in Settings.model_fields}
