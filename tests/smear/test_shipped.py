import pytest

from smear import shipped


@pytest.mark.parametrize("name", ["samples", "holdout", "models"])
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
