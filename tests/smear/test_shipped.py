import tomllib
from typing import get_args

import pytest

from smear import shipped


@pytest.mark.parametrize("name", ["samples", "holdout", "core", "outside", "references", "models"])
def test_what_is_shipped_is_found(name):
    assert shipped.folder(name).is_dir()


def test_the_installed_package_comes_before_the_checkout(tmp_path, monkeypatch):
    monkeypatch.setattr(shipped, "_PACKAGE", tmp_path / "smear")
    with pytest.raises(FileNotFoundError, match="samples/"):
        shipped.folder("samples")
    (tmp_path / "samples").mkdir()
    assert shipped.folder("samples") == tmp_path / "samples"
    (tmp_path / "smear" / "_shipped" / "samples").mkdir(parents=True)
    assert shipped.folder("samples") == tmp_path / "smear" / "_shipped" / "samples"


def test_a_wheel_carries_the_attribution_of_every_shipped_folder():
    root = shipped.folder("models").parent
    folders = set(get_args(shipped.ShippedFolder))
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    attributed = {str(path.relative_to(root)) for path in root.glob("*/ATTRIBUTION.md")}
    assert attributed <= {f"{name}/ATTRIBUTION.md" for name in folders}
    assert attributed == set(project["license-files"]) - {"LICENSE"}
