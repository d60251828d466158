"""What training does where it cannot go on as before: no GPU, a torn checkpoint; and on a GPU, where there is one."""

import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch

from smear import bundle, shipped
from smear.geometry import profile
from smear.labelled import Pixels, load_pixels, read_folder
from smear.runs import Enough
from trainer import export
from trainer.checkpoint import Checkpoint
from trainer.fit import logits_of
from trainer.nightly import base, snapshot
from trainer.nightly.base import NoBase
from trainer.nightly.judge import before_nights, first_of_line
from trainer.nightly.learner import NIGHTLY
from trainer.nightly.snapshot import LabCells, Snapshot
from trainer.nightly.train import _left, train
from trainer.produce import BadOrder


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_asked_for_and_not_there_is_named(settings, tmp_path):
    champion = bundle.load(settings.models_folder / "wnet-pbc")
    asked = settings.model_copy(update={"nightly_device": "cuda"})
    with pytest.raises(BadOrder, match="no CUDA device"):
        train(asked, "2031-05-01", champion, champion, tmp_path, tmp_path / "staging")


@pytest.mark.parametrize("left", ["torn", "of another device"])
def test_a_checkpoint_that_cannot_be_gone_on_from_is_begun_anew(tmp_path, left):
    checkpoint = Checkpoint(tmp_path / "checkpoint.pt", "this run")
    if left == "torn":
        checkpoint.path.write_bytes(b"PK\x03\x04 half of it")
    else:
        Checkpoint(checkpoint.path, "another run").save({"epochs_done": 1})
    assert _left(checkpoint) is None
    assert not checkpoint.path.exists()
    checkpoint.save({"epochs_done": 1})
    assert _left(checkpoint) == {"epochs_done": 1}


def test_the_challenger_stands_between_what_nights_began_with_and_what_was_learned_and_labels_are_asked_of_the_latter(
    settings, tmp_path, monkeypatch
):
    monkeypatch.setattr(base, "profile", lambda _: profile("whole"))  # cut already
    champion = bundle.load(settings.models_folder / "wnet-pbc")
    weights = export.weights_from_bundle(champion)
    manifest = champion.manifest
    first = bundle.write(
        tmp_path / "first", "before-nights", export.network_bytes({name: 0.9 * w for name, w in weights.items()}),
        "# For tests\n", geometry=manifest.geometry, data=manifest.data, command="none", scores={},
        calibration=manifest.calibration, training_mix=manifest.training_mix, parent=None,
    )  # fmt: skip
    core = load_pixels(read_folder(settings.base_data), profile("whole"))
    digests = tuple(f"{i:064x}" for i in range(40))
    other = np.clip(core.images * np.array([0.9, 0.6, 1.1]), 0, 255).astype(np.uint8)
    cells = LabCells(other, core.labels, np.arange(40) // 10, np.ones(40, np.bool_), digests)
    snapshot.save(tmp_path, Snapshot(cells, cells.take(slice(0, 10)), {}))
    recipe, staging = replace(NIGHTLY, epochs=1, learning_rate=1e-3), tmp_path / "staging"

    def begin():
        return train(settings, "2031-05-01", champion, first, tmp_path, staging, recipe=recipe)

    made = bundle.load(staging / begin()["folder"])
    assert (made.manifest.parent, made.manifest.recipe["between"]) == (champion.bundle_id, first.bundle_id)
    begun, half = export.weights_from_bundle(first), export.weights_from_bundle(made)
    learned = {name: 2 * half[name] - begun[name] for name in half}
    assert any(not torch.allclose(learned[name], weights[name]) for name in learned)
    opinions = snapshot.load_opinions(tmp_path)[0]
    logits = logits_of(learned, Pixels(cells.images, cells.labels, [], []))
    temperature = np.median(logits / opinions)
    assert opinions == pytest.approx(logits / temperature, abs=0.05)
    assert np.abs(opinions - logits_of(half, Pixels(cells.images, cells.labels, [], [])) / temperature).max() > 0.2
    # A bundle of an earlier version of this program, which laid no opinions down, is made again.
    (tmp_path / snapshot.OPINIONS).unlink()
    assert begin()["bundle"] == made.bundle_id
    assert snapshot.load_opinions(tmp_path)[0] == pytest.approx(opinions)


def test_a_base_of_which_nothing_can_be_used_is_named(settings):
    champion = bundle.load(settings.models_folder / "wnet-pbc")
    with pytest.raises(NoBase, match=r"^no picture in .* \(WNET_BASE_DATA\) can be used with the geometry di60$"):
        base.base_cells(settings.base_data, champion)


def test_a_run_that_breaks_off_by_itself_ends_the_night_with_the_reason(settings, tmp_path, monkeypatch):
    monkeypatch.setattr(base, "profile", lambda _: profile("whole"))
    champion = bundle.load(settings.models_folder / "wnet-pbc")
    core = load_pixels(read_folder(settings.base_data), profile("whole"))
    digests = tuple(f"{i:064x}" for i in range(40))
    cells = LabCells(core.images, core.labels, np.arange(40) // 10, np.ones(40, np.bool_), digests)
    snapshot.save(tmp_path, Snapshot(cells, cells.take(slice(0, 10)), {}))
    recipe = replace(NIGHTLY, epochs=2, learning_rate=1e30)
    with pytest.raises(Enough, match=r"^nothing was learned: the "):
        train(settings, "2031-05-01", champion, champion, tmp_path, tmp_path / "staging", recipe=recipe)


def test_nights_begin_from_the_nearest_bundle_that_none_of_them_made(settings, tmp_path):
    shipped_one = bundle.load(settings.models_folder / "wnet-pbc")
    line = [shipped_one]
    for number, name in enumerate(("finetuned", "nightly-20310501", "nightly-20310502")):
        calibration = shipped_one.manifest.calibration.model_copy(update={"temperature": 1.1 + number / 10})
        line.append(
            bundle.write(
                settings.models_folder, name, shipped_one.network.read_bytes(), "# For tests\n",
                geometry=shipped_one.manifest.geometry, data=shipped_one.manifest.data, command="none", scores={},
                calibration=calibration, training_mix=shipped_one.manifest.training_mix, parent=line[-1].bundle_id,
            )
        )  # fmt: skip
    champion = line[-1]
    assert before_nights(settings.models_folder, champion).bundle_id == line[1].bundle_id
    assert first_of_line(settings.models_folder, champion).bundle_id == shipped_one.bundle_id
    assert before_nights(settings.models_folder, line[1]).bundle_id == line[1].bundle_id
    shutil.rmtree(line[2].folder)
    assert before_nights(settings.models_folder, champion).bundle_id == champion.bundle_id


def test_what_was_learned_is_read_back(tmp_path):
    learn, judge = np.eye(5, dtype=np.float32), np.zeros((0, 5), np.float32)
    snapshot.save_opinions(tmp_path, learn, judge)
    read = snapshot.load_opinions(tmp_path)
    assert (read[0] == learn).all()
    assert read[1].shape == (0, 5)


@pytest.mark.parametrize("left", [b"", b"PK\x03\x04 half of it", b"no archive", None])
def test_what_a_night_laid_down_and_cannot_be_read_again_is_named(tmp_path, left):
    for name in (snapshot.CELLS, snapshot.OPINIONS):
        if left is not None:
            (tmp_path / name).write_bytes(left)
    with pytest.raises(snapshot.NoSnapshot, match="what was learned this night cannot be read again"):
        snapshot.load_opinions(tmp_path)
    with pytest.raises(snapshot.NoSnapshot, match="what this night collected cannot be read again"):
        snapshot.load(tmp_path)


@pytest.mark.gpu
def test_a_night_on_the_gpu_goes_on_where_it_stopped_and_makes_a_bundle(settings, tmp_path):
    champion = bundle.load(settings.models_folder / "wnet-pbc")
    core = load_pixels(read_folder(shipped.folder("core")), profile("whole"))
    other = np.clip(core.images * np.array([0.9, 0.6, 1.1]), 0, 255).astype(np.uint8)
    digests = tuple(f"{i:064x}" for i in range(len(other)))
    cells = LabCells(other, core.labels, np.arange(len(other)) // 20, np.ones(len(other), np.bool_), digests)
    snapshot.save(tmp_path, Snapshot(cells, cells.take(slice(0, 40)), {}))
    asked = settings.model_copy(update={"nightly_device": "cuda", "base_data": None})
    recipe = replace(NIGHTLY, epochs=3)

    class Killed(BaseException):
        pass

    def die(_):
        raise Killed

    with pytest.raises(Killed):
        train(asked, "2031-05-01", champion, champion, tmp_path, tmp_path / "staging", recipe=recipe, on_epoch=die)
    seen = []
    told = train(
        asked, "2031-05-01", champion, champion, tmp_path, tmp_path / "staging", recipe=recipe,
        on_epoch=lambda epoch: seen.append(epoch.number),
    )  # fmt: skip
    assert seen == [2, 3]
    assert told["device"] == "cuda"
    assert bundle.load(tmp_path / "staging" / told["folder"]).manifest.parent == champion.bundle_id
