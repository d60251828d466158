"""The wide dense layer: 99.8 % of W-Net's parameters, so its products and its gradient are arranged with care."""

from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional


class Outer(NamedTuple):
    """A gradient of the weights kept as its two factors: d loss / d weight = `of_outputs`.T @ `inputs`."""

    inputs: Tensor  # (N, in)
    of_outputs: Tensor  # (N, out)


class Dense(nn.Linear):
    """A linear layer that on a CPU can leave its weights' gradient as two factors in `outer`.

    16.8 million gradients written to memory and read again by the optimiser cost more than computing them block by
    block where they are used (`trainer.adam`). Only training that calls `defer()` sees this; the bias is as ever.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs)
        self.deferred = False
        self.outer: Outer | None = None

    def defer(self) -> None:
        """From now on training leaves `outer` and no `weight.grad`."""
        self.deferred = True

    def forward(self, inputs: Tensor) -> Tensor:
        """(N, in) -> (N, out)."""
        if self.deferred and self.training and torch.is_grad_enabled():
            product: Tensor = _Product.apply(inputs, self.weight, self)  # type: ignore[no-untyped-call]
            return product + self.bias
        return functional.linear(inputs, self.weight, self.bias)

    def take(self) -> Outer:
        """The factors of the step's gradient, once."""
        outer, self.outer = self.outer, None
        assert outer is not None, "no backward pass since the last take"
        return outer


class _Product(torch.autograd.Function):
    """inputs @ weight.T through NumPy's OpenBLAS: 88 ms for the three products at batch 64, torch's MKL 119."""

    @staticmethod
    def forward(ctx: Any, inputs: Tensor, weight: Tensor, layer: Dense) -> Tensor:
        ctx.save_for_backward(inputs, weight)
        ctx.layer = layer
        return torch.from_numpy(np.matmul(inputs.detach().numpy(), weight.detach().numpy().T))

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        inputs, weight = ctx.saved_tensors
        of_outputs = gradients[0].contiguous()
        ctx.layer.outer = Outer(inputs.detach(), of_outputs.detach())
        return torch.from_numpy(np.matmul(of_outputs.numpy(), weight.detach().numpy())), None, None
