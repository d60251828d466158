import csv
import hashlib
import json
import shutil
from pathlib import Path

import pytest

from smear import shipped
from smear.bundle import Bundle
from smear.cells import CELL_TYPES
from smear.labelled import BadDataFolder, LabelledCell, read_folder
from smear.pictures import decode
from trainer import split
from trainer.draw import put_aside


def _files(root: Path) -> dict[str, str]:
    return {
        str(p.relative_to(root)): hashlib.sha256(p.read_bytes()).hexdigest() for p in root.rglob("*") if p.is_file()
    }


def _cell(content: int, group: str | None = None, cell_type: str = "monocyte") -> LabelledCell:
    sha256 = hashlib.sha256(str(content).encode()).hexdigest()
    return LabelledCell(Path(f"{cell_type}/{content}.png"), cell_type, sha256, group)


def test_a_tenth_is_put_aside_by_hash_whatever_the_files_are_called():
    cells = [_cell(n) for n in range(87)]
    kept, aside = put_aside(cells, 0.1)
    assert sorted(c.sha256 for c in aside) == sorted(c.sha256 for c in cells)[:9]
    assert {c.sha256 for c in kept} | {c.sha256 for c in aside} == {c.sha256 for c in cells}
    assert not {c.sha256 for c in kept} & {c.sha256 for c in aside}
    assert {c.sha256 for c in put_aside(cells[::-1], 0.1)[1]} == {c.sha256 for c in aside}


def test_a_group_is_never_divided():
    cells = [_cell(n, group=f"slide-{n % 7}") for n in range(70)]
    kept, aside = put_aside(cells, 0.1)
    assert not {c.group for c in kept} & {c.group for c in aside}
    assert len(aside) == 10


def test_the_shipped_holdout_and_samples_have_nothing_in_common():
    with (shipped.folder("holdout") / "metadata.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    holdout = {row["source_sha256"] for row in rows}
    samples = {hashlib.sha256(p.read_bytes()).hexdigest() for p in shipped.folder("samples").glob("*/*.jpg")}
    assert len(holdout) == len(rows) == len(read_folder(shipped.folder("holdout")))
    assert len(samples) == sum(len(files["files"]) for files in _truth().values())
    assert not holdout & samples


def _truth() -> dict:
    return json.loads((shipped.folder("samples") / "truth.json").read_text())


def test_the_truth_names_every_picture_of_every_slide_and_no_name_gives_the_type_away():
    for slide, truth in _truth().items():
        folder = shipped.folder("samples") / slide
        assert set(truth["files"]) == set(truth["sources"]) == {p.name for p in folder.iterdir()}
        assert truth["counts"] == {t: list(truth["files"].values()).count(t) for t in CELL_TYPES}
        assert 90 <= len(truth["files"]) <= 110
        types_in_order = [truth["files"][name] for name in sorted(truth["files"])]
        assert types_in_order != sorted(types_in_order)
        assert all(name.startswith("cell_") for name in truth["files"])
    together = {t: sum(truth["counts"][t] for truth in _truth().values()) for t in CELL_TYPES}
    assert min(together.values()) >= 1


def test_the_shipped_folders_carry_attribution_and_keep_within_their_size():
    for name, most in (("holdout", 4_000_000), ("samples", 6_000_000)):
        folder = shipped.folder(name)
        text = (folder / "ATTRIBUTION.md").read_text(encoding="utf-8")
        assert all(part in text for part in ("CC BY 4.0", "Acevedo", "10.17632/snkd93bnjr.1", "changed"))
        assert sum(p.stat().st_size for p in folder.rglob("*") if p.is_file()) <= most


def test_the_holdout_is_what_the_network_sees():
    for cell in read_folder(shipped.folder("holdout"))[::60]:
        assert decode(cell.path.read_bytes()).shape == (128, 128, 3)


def test_drawing_again_gives_the_shipped_bytes(tmp_path, test_data):
    split.write(split.draw(test_data / "pbc"), tmp_path)
    for part in ("holdout", "samples"):
        assert _files(tmp_path / part) == _files(shipped.folder(part))


def test_a_split_is_drawn_once_and_never_over_another(tmp_path, test_data):
    few = tmp_path / "data"
    for cell_type in CELL_TYPES:
        (few / cell_type).mkdir(parents=True)
        for picture in sorted((test_data / "pbc" / cell_type).iterdir())[:30]:
            shutil.copy(picture, few / cell_type)
    root = tmp_path / "root"
    split.write(split.draw(few), root)
    before = _files(root)
    split.write(split.draw(few), root)
    assert _files(root) == before
    split.draw(few).holdout[0].path.unlink()
    with pytest.raises(split.AlreadyDrawn, match="drawn once"):
        split.write(split.draw(few), root)
    assert _files(root) == before


def test_too_few_pictures_for_a_split_are_refused(make_data):
    with pytest.raises(BadDataFolder, match="leaves no picture of type neutrophil"):
        split.draw(make_data(per_type=1))


def test_no_cell_of_holdout_or_samples_is_among_those_the_shipped_bundle_trained_on(test_data, shipped_bundle: Bundle):
    from smear.labelled import data_sha256
    from trainer import training_set
    from trainer.recipes import Recipe

    choice = training_set.choose(test_data / "pbc", Recipe.inner_share, training_set.withheld())
    used = choice.train + choice.inner
    assert data_sha256(used) == shipped_bundle.manifest.data.sha256
    left_out = training_set.withheld()
    assert not {c.sha256 for c in used} & (left_out.holdout | left_out.samples)
    assert len(used) + len(left_out.holdout) + len(left_out.samples) == len(read_folder(test_data / "pbc"))
