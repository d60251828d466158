"""What a night learns from and for how long: slides unsplit, replay distilled, an early stop, a budget of time."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from smear import bundle, shipped
from smear.geometry import profile
from smear.labelled import load_pixels, read_folder
from trainer import export
from trainer.fit import logits_of
from trainer.nightly.learner import NIGHTLY, PATIENCE, Budget, Night
from trainer.nightly.snapshot import LabCells
from trainer.nightly.train import _inner_slides, between, night_set


QUICK = replace(NIGHTLY, epochs=4, batch=16)


@pytest.fixture(scope="module")
def core():
    """Eight cells a type of the shipped core."""
    cells = read_folder(shipped.folder("core"))
    some = [cell for t in sorted({c.cell_type for c in cells}) for cell in [c for c in cells if c.cell_type == t][:8]]
    return load_pixels(some, profile("whole"))


@pytest.fixture(scope="module")
def champion():
    return export.weights_from_bundle(bundle.load(shipped.shipped_bundle()))


def lab_cells(core, slides=6):
    """The core's own cells as a laboratory's, on so many slides, seen through another stain."""
    images = np.clip(core.images * np.array([0.8, 0.6, 1.2]), 0, 255).astype(np.uint8)
    n = len(core.labels)
    order = np.random.default_rng(0).permutation(n)
    digests = tuple(f"{i:064x}" for i in range(n))
    return LabCells(images[order], core.labels[order], np.arange(n) % slides, np.ones(n, np.bool_), digests)


@pytest.fixture
def night(core, champion):
    data = night_set(lab_cells(core), core, 0.2, lambda pixels: logits_of(champion, pixels))
    return lambda seed=1: Night(QUICK, data, seed, champion)


def test_a_slide_is_on_one_side_of_the_inner_split_and_the_base_gives_of_every_type(core):
    lab = lab_cells(core)
    found = night_set(lab, core, 0.4, lambda pixels: np.zeros((len(pixels.labels), 5), np.float32))
    inner = {image.tobytes() for image in found.data.inner.images}
    sides = {}
    for image, slide in zip(lab.images, lab.slides, strict=True):
        sides.setdefault(int(slide), set()).add(image.tobytes() in inner)
    assert all(len(side) == 1 for side in sides.values())
    assert {True, False} == set().union(*sides.values())
    of_base = [t for image, t in zip(core.images, core.labels, strict=True) if image.tobytes() in inner]
    assert set(of_base) == set(range(5))
    assert not inner & {image.tobytes() for image in found.data.train.images}


def test_what_a_night_has_learned_is_never_in_the_inner_split_of_a_later_one():
    images = np.arange(600, dtype=np.uint8)[:, None, None, None] % 251
    digests = tuple(f"{i:064x}" for i in range(600))
    whole = LabCells(images, np.arange(600) % 5, np.arange(600) // 15, np.ones(600, np.bool_), digests)
    learned: set[str] = set()
    for night in range(200, 601, 100):
        lab = whole.take(slice(0, night))
        apart = _inner_slides(lab, 0.15)
        assert 0.05 < apart.mean() < 0.4
        inner = {digest for digest, own in zip(lab.sha256, apart, strict=True) if own}
        assert not inner & learned
        learned |= set(lab.sha256) - inner


@pytest.mark.parametrize(
    "slides", [[0] * 100, [0, 1] * 50, [3] * 60 + [0] * 40, [3] * 5 + [0] * 95], ids=["one", "none", "most", "few"]
)
def test_where_slides_make_no_inner_split_cells_do(slides):
    # Of these rows the hash takes 3 alone.
    digests = tuple(f"{i:064x}" for i in range(100))
    lab = LabCells(
        np.zeros((100, 1, 1, 1), np.uint8), np.arange(100) % 5, np.array(slides), np.ones(100, np.bool_), digests
    )
    apart = _inner_slides(lab, 0.15)
    assert 5 < apart.sum() < 30
    assert apart[np.array(slides) == 0].sum() > 0


def test_the_challenger_stands_half_way_between_the_first_of_its_line_and_what_was_learned():
    first, learned = {"a": torch.zeros(3)}, {"a": torch.tensor([1.0, 2, -4])}
    assert between(first, learned)["a"].tolist() == [0.5, 1, -2]
    assert first["a"].tolist() == [0, 0, 0]


def test_replay_is_repeated_where_labels_are_many_and_marked_so_that_it_alone_is_distilled(core):
    lab = lab_cells(core)
    many = LabCells(
        np.concatenate([lab.images] * 8), np.concatenate([lab.labels] * 8), np.arange(8 * len(lab)) % 40,
        np.ones(8 * len(lab), np.bool_), tuple(f"{i:064x}" for i in range(8 * len(lab))),
    )  # fmt: skip
    answers = np.random.default_rng(0).normal(size=(len(core.labels), 5)).astype(np.float32)
    found = night_set(many, core, 0.2, lambda pixels: answers[: len(pixels.labels)])
    replayed = found.replayed
    old = {image.tobytes() for image in core.images}
    assert [image.tobytes() in old for image in found.data.train.images] == replayed.tolist()
    copies = int(replayed.sum()) // len({i.tobytes() for i in found.data.train.images[replayed]})
    assert copies == 4  # as often as it may be
    assert not found.champion[~replayed].any()
    assert found.champion[replayed].any(axis=1).all()


def test_the_champions_own_answers_cost_nothing_and_new_cells_are_not_held_to_them(night):
    run = night()
    rows = torch.arange(len(run.data.train.labels))
    same = torch.from_numpy(run._teacher.numpy().copy())
    assert float(run._distilled(same, rows)) == pytest.approx(0, abs=1e-5)
    other = same.clone()
    new = ~run._replayed
    other[new] += torch.tensor([5.0, -5, 0, 0, 0])
    assert float(run._distilled(other, rows)) == pytest.approx(0, abs=1e-5)
    other[~new] += torch.tensor([5.0, -5, 0, 0, 0])
    assert float(run._distilled(other, rows)) > 0.1


@pytest.mark.timeout(600)
def test_a_night_gone_on_with_learns_the_same_and_keeps_its_best_epoch(night):
    straight, first = night(), night()
    for _ in range(2):
        straight.run_epoch()
    first.run_epoch()
    second = night()
    second.restore(first.state())
    second.run_epoch()
    assert second.epochs_done == 2
    assert second.best_inner == straight.best_inner < night().best_inner
    assert second.best_epoch == straight.best_epoch > 0
    assert all(torch.equal(value, straight.best[name]) for name, value in second.best.items())


def test_it_stops_early_where_nothing_gets_better(night):
    run = night()
    run.epochs_done = PATIENCE
    assert run.stale
    run.best_epoch = 1
    assert not run.stale


def test_no_epoch_is_begun_that_would_not_fit_into_the_nights_time():
    now = [0.0]
    budget = Budget(10, lambda: now[0])
    told = []
    for seconds in (120, 240, 120):
        now[0] += seconds
        told.append(budget.spent())
    assert told == [False, False, True]  # 480 s are gone, and the longest took 240 of 600
    # What an earlier attempt took counts: a night that is killed again and again has no more time than another.
    again = Budget(10, lambda: now[0], before=400)
    now[0] += 120
    assert again.spent()
    assert again.seconds == 520
