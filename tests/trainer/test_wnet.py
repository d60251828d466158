import numpy as np
import pytest
import torch
from sklearn.preprocessing import scale
from torch import Tensor
from torch.nn import functional

from smear.labelled import Pixels
from trainer import wnet
from trainer.wnet import PARAMETERS, WNet, _drop, _drop_maps, holding, parameter_count, standardise


def test_it_has_the_papers_number_of_parameters():
    assert parameter_count(WNet()) == PARAMETERS == 16_806_949


def test_it_starts_from_glorot_uniform_weights_and_zero_biases():
    for layer in WNet().layers():
        weight = layer.weight.detach()
        fan_in = weight[0].numel()
        fan_out = weight.shape[0] * weight[0, 0].numel()
        limit = (6 / (fan_in + fan_out)) ** 0.5
        assert float(weight.abs().max()) <= limit * 1.0001
        assert float(weight.std()) == pytest.approx(limit / 3**0.5, rel=0.1)
        assert not layer.bias.any()


def test_standardising_is_sklearns_scale_over_all_pixels_and_channels(holdout: Pixels):
    images = holdout.images[::40]
    ours = standardise(torch.from_numpy(images)).permute(0, 2, 3, 1).numpy()
    for image, got in zip(images, ours, strict=True):
        np.testing.assert_allclose(got, scale(image.astype(np.float64).ravel()).reshape(image.shape), atol=1e-5)


def test_a_picture_of_one_value_becomes_zeros_and_one_odd_pixel_is_still_standardised():
    images = torch.full((2, 128, 128, 3), 201, dtype=torch.uint8)
    images[1, 5, 5, 1] = 202
    flat, odd = standardise(images)
    assert float(flat.abs().max()) < 0.1
    assert float(odd.std(correction=0)) == pytest.approx(1, abs=1e-3)


def test_it_computes_what_the_paper_writes_relu_before_pooling(holdout: Pixels):
    network = WNet().eval()
    images = torch.from_numpy(holdout.images[:3])
    x: Tensor = standardise(images)
    for conv in (network.conv1, network.conv2, network.conv3):
        x = functional.max_pool2d(functional.relu(functional.conv2d(x, conv.weight, conv.bias, padding="same")), 2)
    expected = functional.relu(x.reshape(3, -1) @ network.dense1.weight.T + network.dense1.bias)
    with torch.no_grad():
        logits, features = network(images)
    torch.testing.assert_close(features, expected.detach(), atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(logits, network.dense2(expected).detach(), atol=1e-4, rtol=1e-4)


def test_dropout_drops_the_given_share_and_keeps_the_mean():
    torch.manual_seed(0)
    maps = torch.ones(64, 64, 8, 8)
    dropped = _drop(maps, 0.6)
    assert float((dropped == 0).float().mean()) == pytest.approx(0.6, abs=0.01)
    assert float(dropped.mean()) == pytest.approx(1, abs=0.02)
    assert sorted(set(dropped.flatten().tolist())) == pytest.approx([0, 1 / 0.4])
    whole = _drop_maps(maps, 0.25)
    assert sorted(set(whole.mean(dim=(2, 3)).flatten().tolist())) == pytest.approx([0, 1 / 0.75])
    assert float(whole.mean()) == pytest.approx(1, abs=0.02)


@pytest.mark.parametrize("rate", [0.1, 0.25, 0.5, 0.6])
def test_every_value_of_a_map_is_dropped_on_its_own(rate: float):
    torch.manual_seed(0)
    kept = (_drop(torch.ones(64, 16, 16, 16), rate) != 0).float()
    # 1,024 or 4,096 draws each: five standard errors. The four values of one 64-bit draw are neighbours in channels.
    assert torch.allclose(kept.mean(dim=(0, 1)), torch.tensor(1 - rate), atol=5 * (rate * (1 - rate) / 1024) ** 0.5)
    both = (kept[:, :-1] * kept[:, 1:]).mean()
    assert float(both) == pytest.approx((1 - rate) ** 2, abs=0.005)


def test_the_network_drops_by_value_or_by_map_as_it_was_told():
    torch.manual_seed(0)
    images = torch.randint(0, 256, (4, 128, 128, 3), dtype=torch.uint8)
    silent = []
    for whole in (False, True):
        network = WNet(0.5, 0.0, whole_channels=whole).train()
        torch.nn.init.zeros_(network.conv3.weight)
        torch.nn.init.ones_(network.conv3.bias)  # so that nothing is zero but what was dropped
        with torch.no_grad():
            zero = (network._maps(images) == 0).float().mean(dim=(2, 3))
        assert float(zero.mean()) == pytest.approx(0.5, abs=0.1)
        silent.append(float((zero == 1).float().mean()))
    assert silent[0] == 0
    assert silent[1] == pytest.approx(0.5, abs=0.15)


def test_a_batch_that_goes_through_in_parts_is_answered_as_one_that_does_not(
    holdout: Pixels, monkeypatch: pytest.MonkeyPatch
):
    network = WNet(0.0, 0.0).train()
    images = torch.from_numpy(holdout.images[:20])  # eight, eight and four
    answers = []
    for together in (wnet._TOGETHER, 20):
        monkeypatch.setattr(wnet, "_TOGETHER", together)
        logits, features = network(images)
        gradient = torch.autograd.grad(logits.square().sum(), network.conv1.weight)[0]
        answers.append((logits.detach(), features.detach(), gradient))
    torch.testing.assert_close(answers[0], answers[1], atol=1e-4, rtol=1e-4)


def test_nothing_is_dropped_when_it_is_asked_to_answer():
    network = WNet(0.6, 0.6).eval()
    images = torch.randint(0, 256, (2, 128, 128, 3), dtype=torch.uint8)
    with torch.no_grad():
        torch.testing.assert_close(network(images)[0], network(images)[0], atol=0, rtol=0)


def test_a_network_that_holds_weights_answers_as_one_that_was_filled_with_them(holdout: Pixels):
    weights = {name: value.contiguous() for name, value in WNet().state_dict().items()}
    before = {name: value.clone() for name, value in weights.items()}
    images = torch.from_numpy(holdout.images[:9])
    filled = WNet()
    filled.load_state_dict(weights)
    with torch.inference_mode():
        assert torch.equal(holding(weights)(images)[0], filled.eval()(images)[0])
    assert all(torch.equal(value, before[name]) for name, value in weights.items())


def test_holding_weights_draws_no_random_numbers_and_copies_none_of_the_wide_layers():
    weights = WNet().state_dict()
    torch.manual_seed(0)
    state = torch.get_rng_state()
    network = holding(weights)
    assert torch.equal(torch.get_rng_state(), state)
    assert network.dense1.weight.data_ptr() == weights["dense1.weight"].data_ptr()


def test_weights_of_another_network_are_not_held():
    weights = WNet().state_dict()
    del weights["dense2.bias"]
    with pytest.raises(RuntimeError, match=r"dense2\.bias"):
        holding(weights)
