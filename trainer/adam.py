"""Adam (Kingma and Ba, 2015) over W-Net: torch's fused kernel, block by block where the gradient is never whole."""

from typing import Any, Final

import numpy as np
import torch
from torch import Tensor, nn

from trainer.wnet import WNet


#: Rows of the wide layer whose gradient is made and used at once: 64 x 16,384 float32 is 4 MB, which stays in the
#: cache (whole: 25 ms at batch 5; 32 to 128 rows: 19 to 20).
_ROWS: Final = 64


class Adam:
    """`torch.optim.Adam` with its defaults, the rate set at each step; convolutions take `conv_rate` times it.

    On a CPU the wide layer's weights are stepped from the two factors of their gradient, by the same kernel.
    """

    def __init__(self, network: WNet, conv_rate: float = 1.0) -> None:
        self._wide = network.dense1
        on_cpu = self._wide.weight.device.type == "cpu"
        convolutions = {id(p) for m in network.modules() if isinstance(m, nn.Conv2d) for p in m.parameters()}
        layers: dict[float, list[Tensor]] = {conv_rate: [], 1.0: []}
        for p in network.parameters():
            if not (on_cpu and p is self._wide.weight):
                layers[conv_rate if id(p) in convolutions else 1.0].append(p)
        self._rates = list(layers)
        self._rest = torch.optim.Adam([{"params": own} for own in layers.values()], fused=True)
        self._moments: tuple[Tensor, Tensor] | None = None
        if on_cpu:
            self._wide.defer()
            self._moments = torch.zeros_like(self._wide.weight), torch.zeros_like(self._wide.weight)
            self._gradient = torch.empty((_ROWS, self._wide.in_features))
        self._steps = torch.zeros(())

    def step(self, learning_rate: float) -> None:
        """Move the weights along the last backward pass's gradients, and forget those."""
        for group, rate in zip(self._rest.param_groups, self._rates, strict=True):
            group["lr"] = rate * learning_rate
        self._rest.step()
        self._rest.zero_grad(set_to_none=True)
        if self._moments is not None:
            self._step_wide(learning_rate, *self._moments)

    def state(self) -> dict[str, Any]:
        """Everything a later process needs to go on."""
        return {"rest": self._rest.state_dict(), "moments": self._moments, "steps": self._steps}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from what `state` gave."""
        self._rest.load_state_dict(state["rest"])
        self._moments, self._steps = state["moments"], state["steps"]

    def _step_wide(self, learning_rate: float, first: Tensor, second: Tensor) -> None:
        inputs, of_outputs = (factor.numpy() for factor in self._wide.take())
        weight, group = self._wide.weight.detach(), self._rest.defaults
        self._steps += 1
        for at in range(0, len(weight), _ROWS):
            rows = slice(at, at + _ROWS)
            np.matmul(of_outputs[:, rows].T, inputs, out=self._gradient.numpy())
            torch._fused_adam_(
                [weight[rows]], [self._gradient], [first[rows]], [second[rows]], [], [self._steps],
                lr=learning_rate, beta1=group["betas"][0], beta2=group["betas"][1], eps=group["eps"],
                weight_decay=0.0, amsgrad=False, maximize=False,
            )  # fmt: skip
