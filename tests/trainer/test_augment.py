import numpy as np

from smear.labelled import Pixels
from trainer.augment import look
from trainer.recipes import Augmentation


_NOTHING = Augmentation(
    warped_share=0, scale=0, shift_px=0, gain=0, black_level=0, stain=0, hue=0, saturation=0
)  # fmt: skip


def test_without_jitter_a_look_is_one_of_the_eight_views(holdout: Pixels):
    image = holdout.images[0]
    views = [np.rot90(flipped, turns) for flipped in (image, image[:, ::-1]) for turns in range(4)]
    seen = set()
    for seed in range(60):
        got = look(image[None], _NOTHING, np.random.default_rng(seed))[0]
        matches = [i for i, view in enumerate(views) if np.allclose(got, view / 255, atol=1e-5)]
        assert len(matches) == 1
        seen.update(matches)
    assert seen == set(range(8))


def test_hue_turns_colours_and_leaves_grey_and_brightness_alone():
    how = Augmentation(warped_share=0, gain=0, black_level=0, stain=0, hue=0.5, saturation=0)
    grey = np.full((1, 128, 128, 3), 120, np.uint8)
    np.testing.assert_allclose(look(grey, how, np.random.default_rng(0)), 120 / 255, atol=1e-5)
    purple = np.full((1, 128, 128, 3), (120, 40, 160), np.uint8)
    got = look(purple, how, np.random.default_rng(0))[0, 0, 0]
    assert np.abs(got - np.array([120, 40, 160]) / 255).max() > 0.01
    assert np.isclose(got.sum(), 320 / 255, atol=1e-5)


def test_the_same_numbers_give_the_same_look_and_others_another(holdout: Pixels):
    images = holdout.images[:4]
    first, again, other = (look(images, Augmentation(), np.random.default_rng(seed)) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)
    assert first.shape == images.shape
    assert first.dtype == np.float32
