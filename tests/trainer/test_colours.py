import numpy as np

from trainer.colours import all_standardised


def _statistics(images):
    return images.mean(axis=(1, 2)), images.std(axis=(1, 2))


def test_a_camera_with_another_white_balance_and_exposure_gives_the_same_picture(holdout):
    own = holdout.images[::60]
    elsewhere = (own * np.array([0.6, 0.5, 0.55]) + np.array([10, 20, 5])).round().astype(np.uint8)
    difference = np.abs(all_standardised(own).astype(int) - all_standardised(elsewhere))
    # The other camera's values were rounded to steps twice as wide.
    assert difference.mean() < 1
    assert np.abs(own.astype(int) - elsewhere).mean() > 50


def test_own_pictures_hardly_change(holdout):
    mean, deviation = _statistics(all_standardised(holdout.images[::10]))
    # Clipping at 255 takes a little of both.
    np.testing.assert_allclose(mean.mean(axis=0), [199.3, 163.8, 176.2], atol=2)
    np.testing.assert_allclose(deviation.mean(axis=0), [57.7, 66.5, 23.8], atol=3)


def test_a_picture_of_one_colour_becomes_the_mean():
    one = all_standardised(np.full((1, 128, 128, 3), 7, np.uint8))
    assert (one == np.array([199, 164, 176])).all()
