import io

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from trainer.adam import Adam
from trainer.dense import Dense
from trainer.wnet import WNet


class FakeWNet(nn.Module):
    """Small, with the one wide layer that the optimiser treats apart: two blocks of rows."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.before = nn.Linear(10, 40)
        self.dense1 = Dense(40, 128)
        self.dense2 = nn.Linear(128, 5)

    def forward(self, inputs: Tensor) -> Tensor:
        return self.dense2(functional.relu(self.dense1(functional.relu(self.before(inputs)))))


def _loss(network: FakeWNet, step: int) -> Tensor:
    """Another batch of six at each step."""
    inputs = torch.randn(6, 10, generator=torch.Generator().manual_seed(step))
    return functional.cross_entropy(network(inputs), torch.tensor([0, 1, 2, 3, 4, 0]))


def _train(network: FakeWNet, optimiser: Adam, steps: range) -> None:
    for step in steps:
        _loss(network, step).backward()
        optimiser.step(_RATES[step])


_RATES = (1e-3, 2e-3, 2e-3, 1e-3, 5e-4)


def test_five_steps_move_the_weights_as_torchs_adam_does():
    ours, theirs = FakeWNet(), FakeWNet()
    _train(ours, Adam(ours), range(5))
    reference = torch.optim.Adam(theirs.parameters())
    for step in range(5):
        reference.param_groups[0]["lr"] = _RATES[step]
        reference.zero_grad()
        _loss(theirs, step).backward()
        reference.step()
    started = FakeWNet().state_dict()
    for name, value in theirs.state_dict().items():
        moved = float((value - started[name]).abs().max())
        assert moved > 1e-3, name
        # A thousandth of the way: Adam divides by the gradient's size, which enlarges the rounding of small ones.
        torch.testing.assert_close(ours.state_dict()[name], value, atol=1e-3 * moved, rtol=0, msg=name)


def test_a_later_process_goes_on_from_the_state_as_if_nothing_had_been():
    undisturbed = FakeWNet()
    _train(undisturbed, Adam(undisturbed), range(5))

    first = FakeWNet()
    optimiser = Adam(first)
    _train(first, optimiser, range(3))
    file = io.BytesIO()
    torch.save({"network": first.state_dict(), "optimiser": optimiser.state()}, file)
    file.seek(0)
    state = torch.load(file, weights_only=True)
    second = FakeWNet()
    resumed = Adam(second)
    second.load_state_dict(state["network"])
    resumed.restore(state["optimiser"])
    _train(second, resumed, range(3, 5))

    for name, value in undisturbed.state_dict().items():
        assert torch.equal(second.state_dict()[name], value), name


def test_a_step_forgets_its_gradients():
    network = FakeWNet()
    optimiser = Adam(network)
    _train(network, optimiser, range(1))
    assert all(p.grad is None for p in network.parameters())
    with pytest.raises(AssertionError, match="no backward pass"):
        optimiser.step(1e-3)


def test_the_wide_layers_gradient_is_never_whole_on_a_cpu():
    network = FakeWNet()
    Adam(network)
    _loss(network, 0).backward()
    assert network.dense1.weight.grad is None
    assert network.dense1.bias.grad is not None


def test_convolutions_can_take_a_multiple_of_the_rate():
    torch.manual_seed(0)
    network = WNet(0, 0)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    optimiser = Adam(network, conv_rate=4)
    images, labels = torch.randint(0, 255, (4, 128, 128, 3), dtype=torch.uint8), torch.arange(4)
    functional.cross_entropy(network.train()(images)[0], labels).backward()
    optimiser.step(1e-3)
    # Adam's first step has the length of the rate wherever the gradient is not next to nothing.
    for name, value in network.state_dict().items():
        length = (value - before[name]).abs().max().item()
        assert length == pytest.approx(4e-3 if name.startswith("conv") else 1e-3, rel=1e-3), name
