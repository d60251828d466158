"""What training does where it cannot go on as before: no GPU, a torn checkpoint; and on a GPU, where there is one."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from smear import bundle, shipped
from smear.geometry import profile
from smear.labelled import load_pixels, read_folder
from trainer.checkpoint import Checkpoint
from trainer.nightly import snapshot
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
