import numpy as np
import pytest

from trainer.older.features import COUNTS, FEATURES, _binary_patterns, _functionals, features


@pytest.fixture
def images(holdout) -> np.ndarray:
    return holdout.images[::60]


def test_every_picture_gives_as_many_finite_numbers(images):
    found = features(images)
    assert found.shape == (len(images), FEATURES) == (len(images), sum(COUNTS.values()))
    assert found.dtype == np.float32
    assert np.isfinite(found).all()
    assert features(images[:0]).shape == (0, FEATURES)


def test_a_constant_picture_gives_finite_numbers_too():
    assert np.isfinite(features(np.full((1, 128, 128, 3), 7, np.uint8))).all()


def test_a_cell_has_no_orientation_so_quarter_turns_hardly_move_its_features(images):
    turned = features(np.ascontiguousarray(np.rot90(images, 1, axes=(1, 2))))
    own = features(images)
    between = np.abs(own[1:] - own[:-1]).mean()
    assert np.abs(own - turned).mean() < 0.02 * between


def test_the_functionals_are_area_edge_and_parts_less_holes():
    region = np.zeros((20, 20), bool)
    region[2:7, 2:7] = True
    region[4, 4] = False
    region[12, 12:15] = True
    area, edge, euler = _functionals(region)
    assert area * 400 == pytest.approx(27)
    assert edge * 400 == pytest.approx(4 * 5 + 4 + 8)
    assert euler * 20 == pytest.approx(2 - 1)


def test_binary_patterns_are_shares_and_know_flat_from_spotted():
    flat, spots = np.full((32, 32), 9, np.uint8), np.full((32, 32), 200, np.uint8)
    spots[::4, ::4] = 0
    for grey in (flat, spots):
        assert _binary_patterns(grey, 1).sum() == pytest.approx(1)
    assert _binary_patterns(flat, 1)[8] == pytest.approx(1)
    assert _binary_patterns(spots, 1)[8] < 1
