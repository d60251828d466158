import numpy as np
import pytest

from smear.decision import softmax
from smear.labelled import Pixels
from trainer.older.families import FAMILIES
from trainer.older.fit import CannotFit, OlderFit
from trainer.older.recipes import USUAL
from trainer.training_set import TrainingSet


@pytest.fixture(scope="module")
def easy() -> TrainingSet:
    """Five clouds of thirty points in eight dimensions."""
    rng = np.random.default_rng(0)
    labels = np.arange(150) % 5
    features = rng.normal(0, 1, (150, 8)).astype(np.float32)
    features[np.arange(150), labels] += 6
    return TrainingSet(Pixels(features, labels, [], []), Pixels(features[:0], labels[:0], [], []))


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_learns_what_is_easy_and_the_same_seed_gives_the_same(family, easy):
    first, second = (OlderFit(family, USUAL, easy, seed=2**40) for _ in range(2))
    epoch = first.run_epoch()
    second.run_epoch()
    assert (first.epochs_done, epoch.number) == (1, 1)
    logits = first.logits(easy.train.images, 1)
    assert logits.shape == (1, 150, 5)
    assert (logits[0].argmax(axis=1) == easy.train.labels).mean() > 0.95
    np.testing.assert_array_equal(logits, second.logits(easy.train.images, 1))


def test_too_few_pictures_for_a_family_are_said_in_a_sentence(easy):
    one_each = Pixels(easy.train.images[:5], easy.train.labels[:5], [], [])
    fit = OlderFit("lda", USUAL, TrainingSet(one_each, easy.inner), seed=0)
    with pytest.raises(CannotFit, match="cannot be fitted to 5 pictures"):
        fit.run_epoch()


@pytest.mark.parametrize("family", sorted(set(FAMILIES) - {"svm"}))
def test_the_logits_are_the_familys_own_probabilities(family, easy):
    fit = OlderFit(family, USUAL, easy, seed=0)
    fit.run_epoch()
    own = fit.pipeline.predict_proba(easy.train.images)
    np.testing.assert_allclose(softmax(fit.logits(easy.train.images, 1)[0]), own, atol=1e-4)


def test_a_support_vector_machine_answers_what_it_would_predict(easy):
    fit = OlderFit("svm", USUAL, easy, seed=0)
    fit.run_epoch()
    predicted = fit.logits(easy.train.images, 1)[0].argmax(axis=1)
    np.testing.assert_array_equal(predicted, fit.pipeline.predict(easy.train.images))


def test_who_comes_again_fits_again(easy):
    first = OlderFit("lda", USUAL, easy, seed=0)
    first.run_epoch()
    again = OlderFit("lda", USUAL, easy, seed=0)
    again.restore(first.state())
    assert again.epochs_done == 0
