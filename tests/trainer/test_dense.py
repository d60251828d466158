import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from trainer.dense import Dense


@pytest.fixture
def layer() -> Dense:
    torch.manual_seed(0)
    return Dense(200, 64)


def _inputs() -> Tensor:
    return torch.randn(7, 200, generator=torch.Generator().manual_seed(1)).requires_grad_()


def _loss(outputs: Tensor) -> Tensor:
    """Something whose gradient differs from output to output."""
    return (outputs * torch.linspace(-1, 1, outputs.numel()).view_as(outputs)).sin().sum()


def _expected(layer: Dense) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Outputs, and autograd's gradients of weight, bias and inputs."""
    inputs = _inputs()
    outputs = functional.linear(inputs, layer.weight, layer.bias)
    return (outputs.detach(), *torch.autograd.grad(_loss(outputs), (layer.weight, layer.bias, inputs)))


def test_the_deferred_gradient_is_autograds(layer: Dense):
    of_outputs, of_weight, of_bias, of_inputs = _expected(layer)
    layer.defer()
    inputs = _inputs()
    outputs = layer(inputs)
    _loss(outputs).backward()
    outer = layer.take()
    # The same float32 products by another library: they differ in the order of 200 or 7 additions.
    torch.testing.assert_close(outputs.detach(), of_outputs, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(outer.of_outputs.T @ outer.inputs, of_weight, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(inputs.grad, of_inputs, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(layer.bias.grad, of_bias, atol=1e-5, rtol=1e-5)
    assert layer.weight.grad is None


def test_a_layer_that_does_not_defer_is_an_ordinary_linear_layer(layer: Dense):
    expected, of_weight, of_bias, of_inputs = _expected(layer)
    inputs = _inputs()
    outputs = layer(inputs)
    _loss(outputs).backward()
    torch.testing.assert_close(outputs.detach(), expected, atol=0, rtol=0)
    torch.testing.assert_close(layer.weight.grad, of_weight, atol=0, rtol=0)
    torch.testing.assert_close(layer.bias.grad, of_bias, atol=0, rtol=0)
    torch.testing.assert_close(inputs.grad, of_inputs, atol=0, rtol=0)
    assert layer.outer is None


def test_a_layer_that_defers_still_answers_in_the_ordinary_way(layer: Dense):
    expected = _expected(layer)[0]
    layer.defer()
    with torch.no_grad():
        torch.testing.assert_close(layer(_inputs()), expected, atol=0, rtol=0)
    layer.eval()
    _loss(layer(_inputs())).backward()
    assert layer.outer is None
    assert layer.weight.grad is not None


def test_the_factors_of_a_step_can_be_taken_once(layer: Dense):
    layer.defer()
    with pytest.raises(AssertionError, match="no backward pass"):
        layer.take()
    _loss(layer(_inputs())).backward()
    layer.take()
    with pytest.raises(AssertionError, match="no backward pass"):
        layer.take()


def test_a_later_step_replaces_the_factors_instead_of_adding_to_them(layer: Dense):
    layer.defer()
    for scale in (1.0, 3.0):
        _loss(layer(_inputs() * scale)).backward()
    np.testing.assert_array_equal(layer.take().inputs.numpy(), (_inputs() * 3.0).detach().numpy())
