import cv2
import numpy as np
import pytest

from trainer.cv import alike


@pytest.fixture(scope="module")
def some(holdout):
    return holdout.images[::12]  # 50 pictures of all five types


def _encoded_again(image):
    return cv2.imdecode(cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 60])[1], cv2.IMREAD_COLOR)


def _brighter(image):
    return np.clip(image * 1.15, 0, 255).astype(np.uint8)


def _shifted(image):
    return np.roll(image, 1, axis=1)


def test_no_two_different_cells_are_near_duplicates(holdout):
    assert alike.near_pairs(holdout.images) == []


@pytest.mark.parametrize("change", [_encoded_again, _brighter, _shifted])
@pytest.mark.parametrize("flipped", [False, True])
@pytest.mark.parametrize("turns", range(4))
def test_a_copy_is_found_in_each_of_its_eight_views(some, change, flipped, turns):
    seen = [change(np.ascontiguousarray(np.rot90(image[:, ::-1] if flipped else image, turns))) for image in some]
    pairs = alike.near_pairs(np.concatenate([some, np.stack(seen)]))
    assert {(i, i + len(some)) for i in range(len(some))} == set(pairs)


def test_groups_are_chained_through_their_pairs():
    assert alike.groups(6, [(0, 3), (3, 5), (1, 2)]).tolist() == [0, 1, 1, 0, 2, 0]


def test_equal_keys_are_the_same_and_none_equals_nothing():
    same = alike.same_key(["a", None, "b", "a", None, "a"])
    assert alike.groups(6, same).tolist() == [0, 1, 2, 0, 3, 0]
