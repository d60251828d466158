"""ResNet50 and its training; small pictures where only the arithmetic matters."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from smear.labelled import Pixels
from trainer.learning import BrokeOff
from trainer.resnet import PARAMETERS, ResNet50
from trainer.resnet_fit import HEALTHY, PAPER, RECOMPUTED, ResNetTraining, with_statistics_of
from trainer.training_set import TrainingSet
from trainer.wnet import parameter_count


SIDE = 32


@pytest.fixture
def tiny() -> TrainingSet:
    rng = np.random.default_rng(3)
    labels = np.arange(10) % 5
    values = rng.normal(40 + 40 * labels[:, None, None, None], 20, (10, SIDE, SIDE, 3))
    images = np.clip(values, 0, 255).astype(np.uint8)
    train = Pixels(images, labels, [], [])
    return TrainingSet(train, Pixels(images[:0], labels[:0], [], []))


@pytest.mark.parametrize("norm", ["batch", "group"])
def test_the_network_has_the_papers_number_of_parameters(norm):
    assert parameter_count(ResNet50(norm)) == PARAMETERS == 23_544_837


def test_it_answers_five_logits_for_pictures_of_224_pixels():
    network = ResNet50().eval()
    with torch.inference_mode():
        logits = network(torch.zeros((1, 224, 224, 3), dtype=torch.uint8))
    assert logits.shape == (1, 5)
    assert logits.isfinite().all()


def test_the_strides_of_a_stage_are_in_its_first_narrow_convolution_as_in_the_original():
    strides = [block.narrow.stride[0] for block in ResNet50().blocks]
    assert [i for i, stride in enumerate(strides) if stride == 2] == [3, 7, 13]
    assert {block.spatial.stride[0] for block in ResNet50().blocks} == {1}


def test_a_step_is_gradient_descent_with_momentum_and_weight_decay(tiny):
    recipe = replace(PAPER, epochs=1, batch=10, momentum=0.0, learning_rate=0.1, weight_decay=0.5)
    training = ResNetTraining(recipe, tiny, seed=1, norm="group")
    before = training.network.head.bias.detach().clone()
    training.network.head.bias.requires_grad_(False)
    weight = training.network.head.weight
    start = weight.detach().clone()
    training.run_epoch()
    torch.testing.assert_close(training.network.head.bias, before)
    # The direction of the loss, worked out again by hand on the same pictures.
    again = ResNetTraining(recipe, tiny, seed=1, norm="group").network
    loss = torch.nn.functional.cross_entropy(
        again(torch.from_numpy(tiny.train.images)), torch.from_numpy(tiny.train.labels)
    )
    loss.backward()
    torch.testing.assert_close(weight.detach(), start - 0.1 * (again.head.weight.grad + 0.5 * start), atol=1e-5, rtol=0)


def test_bfloat16_is_the_arithmetic_of_the_layers_alone(tiny):
    exact, coarse = (
        ResNetTraining(replace(PAPER, epochs=1, batch=10, bfloat16=flag), tiny, seed=1, norm="batch")
        for flag in (False, True)
    )
    images = tiny.train.images
    first, second = exact.logits(images, 1), coarse.logits(images, 1)
    assert not np.array_equal(first, second)
    np.testing.assert_allclose(first, second, atol=0.05 * np.abs(first).max())
    seen = set()
    coarse.network.blocks[3].narrow.register_forward_hook(lambda _m, _i, out: seen.add(out.dtype))
    assert np.isfinite(coarse.run_epoch().loss)
    ((_, answer),) = coarse.variants()
    assert np.isfinite(answer(images, 1)).all()
    assert seen == {torch.bfloat16}
    assert {p.dtype for p in coarse.network.parameters()} == {torch.float32}


def test_an_interrupted_run_ends_as_one_that_was_not(tiny):
    recipe = replace(HEALTHY, epochs=2, batch=4)
    undisturbed = ResNetTraining(recipe, tiny, seed=5, norm="batch")
    undisturbed.run_epoch()
    state = {
        key: {n: v.clone() for n, v in value.items()} if key == "network" else value
        for key, value in undisturbed.state().items()
    }
    resumed = ResNetTraining(recipe, tiny, seed=5, norm="batch")
    resumed.restore(torch.load(_saved(state), weights_only=True))
    undisturbed.run_epoch()
    resumed.run_epoch()
    for name, value in undisturbed.network.state_dict().items():
        assert torch.equal(value, resumed.network.state_dict()[name]), name


def _saved(state):
    import io

    buffer = io.BytesIO()
    torch.save(state, buffer)
    buffer.seek(0)
    return buffer


def test_a_last_batch_of_one_picture_is_left_out_since_it_has_no_variance(tiny):
    training = ResNetTraining(replace(PAPER, batch=3), tiny, seed=0, norm="batch")
    assert training.steps_per_epoch == 3
    training.run_epoch()
    assert training.steps_done == 3


def test_recomputed_statistics_are_those_of_the_training_part(tiny):
    training = ResNetTraining(replace(PAPER, epochs=1, batch=10), tiny, seed=2, norm="batch")
    made = with_statistics_of(training.network, tiny.train.images, batch=10)
    with torch.no_grad():
        from trainer.wnet import standardise

        seen = training.network.stem(standardise(torch.from_numpy(tiny.train.images)))
    torch.testing.assert_close(made.stem_norm.running_mean, seen.mean(dim=(0, 2, 3)), atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(made.stem_norm.running_var, seen.var(dim=(0, 2, 3)), atol=1e-5, rtol=1e-3)
    for name, value in training.network.named_parameters():
        assert torch.equal(value, made.get_parameter(name)), name
    # And the network itself keeps what it had.
    assert torch.equal(training.network.stem_norm.running_mean, torch.zeros(64))


def test_the_variant_is_the_same_weights_asked_otherwise_and_group_norm_has_none(tiny):
    training = ResNetTraining(replace(PAPER, epochs=1, batch=5), tiny, seed=2, norm="batch")
    training.run_epoch()
    ((name, answers),) = training.variants()
    assert name == RECOMPUTED
    assert answers(tiny.train.images, 1).shape == (1, 10, 5)
    assert not np.allclose(answers(tiny.train.images, 1), training.logits(tiny.train.images, 1))
    assert list(ResNetTraining(HEALTHY, tiny, seed=2, norm="group").variants()) == []


def test_eight_views_are_eight_answers(tiny):
    training = ResNetTraining(PAPER, tiny, seed=0, norm="group")
    logits = training.logits(tiny.train.images, 8)
    assert logits.shape == (8, 10, 5)
    turned = np.ascontiguousarray(np.rot90(tiny.train.images, 1, axes=(1, 2)))
    np.testing.assert_allclose(logits[1], training.logits(turned, 1)[0], atol=1e-4)


def test_a_loss_that_is_no_number_breaks_the_run_off(tiny):
    training = ResNetTraining(replace(PAPER, learning_rate=1e30, batch=2), tiny, seed=0, norm="batch")
    with pytest.raises(BrokeOff, match="the loss became"):
        training.run_epoch()
