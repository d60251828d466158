"""A ratio means something only where both sides do the same work."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from baselines import PlainPictures, PlainWNet, plain_train

from smear.labelled import Pixels
from trainer import produce
from trainer.fit import Training
from trainer.recipes import PAPER
from trainer.training_set import TrainingSet
from trainer.wnet import WNet


_NAMES = {
    "conv1": "features.0",
    "conv2": "features.4",
    "conv3": "features.8",
    "dense1": "classifier.0",
    "dense2": "classifier.3",
}


@pytest.fixture(scope="module")
def fifteen() -> Pixels:
    """Pictures of every type for three steps of five."""
    pixels = produce.shipped_holdout()
    rows = np.arange(15) * 39
    return Pixels(pixels.images[rows], pixels.labels[rows], [], [])


def _plain_of(network: WNet) -> PlainWNet:
    """The plain script's network with the same weights, nothing dropped."""
    weights = {f"{_NAMES[n.split('.')[0]]}.{n.split('.')[1]}": v.clone() for n, v in network.state_dict().items()}
    plain = PlainWNet()
    plain.load_state_dict(weights)
    for module in plain.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    return plain


def test_the_plain_network_answers_as_ours_from_the_same_weights(fifteen: Pixels):
    network = WNet().eval()
    plain = _plain_of(network).eval()
    pictures = PlainPictures(fifteen.images, fifteen.labels)
    batch = torch.utils.data.default_collate([pictures[i] for i in range(15)])[0]
    assert batch.is_contiguous()  # NCHW: what the plain script trains on
    with torch.no_grad():
        ours = network(torch.from_numpy(fifteen.images))[0]
        torch.testing.assert_close(plain(batch), ours, atol=1e-4, rtol=1e-4)


def test_three_steps_of_the_plain_script_are_three_of_ours(fifteen: Pixels, monkeypatch: pytest.MonkeyPatch):
    nothing = Pixels(fifteen.images[:0], fifteen.labels[:0], [], [])
    recipe = replace(PAPER, conv_drop=0.0, dense_drop=0.0)
    training = Training(recipe, TrainingSet(fifteen, nothing), seed=0)
    plain = _plain_of(training.network)
    step, losses, orders = training._step, [], []

    def watched(rows, rng):
        orders.append(rows)
        losses.append(step(rows, rng))
        return losses[-1]

    monkeypatch.setattr(training, "_step", watched)
    training.run_epoch()
    rows = np.concatenate(orders)
    theirs = list(plain_train(plain, fifteen.images[rows], fifteen.labels[rows], 5, shuffle=False))

    assert losses == pytest.approx(theirs, rel=1e-5)
    assert losses[2] != pytest.approx(losses[0], rel=1e-2)  # the weights have moved
    for name, weights in training.network.state_dict().items():
        layer, part = name.split(".")
        moved = plain.state_dict()[f"{_NAMES[layer]}.{part}"]
        # Three steps of 1e-4; the mean, as where a gradient is next to nothing rounding decides which way Adam goes.
        assert float((weights - moved).abs().mean()) < 1e-8, name
