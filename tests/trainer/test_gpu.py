"""Training on a GPU beside training on the CPU: the same sums in another order. Not run anywhere yet."""

from dataclasses import replace

import pytest

from smear.geometry import profile
from trainer import fit, training_set
from trainer.checkpoint import Checkpoint
from trainer.recipes import BEST


pytestmark = pytest.mark.gpu
#: Without dropout both draw the same random numbers.
_RECIPE = replace(BEST, epochs=2, batch=8, conv_drop=0, dense_drop=0)


@pytest.fixture
def tiny(make_data):
    choice = training_set.choose(make_data(per_type=8), 0.25, training_set.withheld())
    return training_set.load(choice, profile("whole"))


def test_an_epoch_on_a_gpu_comes_to_the_same_loss_as_on_the_cpu(tiny):
    gpu, cpu = (fit.Training(_RECIPE, tiny, seed=1, device=device).run_epoch() for device in ("cuda", "cpu"))
    assert gpu.loss == pytest.approx(cpu.loss, rel=1e-3)
    assert gpu.inner.nll == pytest.approx(cpu.inner.nll, rel=1e-2)


def test_a_run_on_a_gpu_goes_on_from_its_checkpoint(tiny, tmp_path):
    checkpoint = Checkpoint(tmp_path / "checkpoint.pt", "run")
    undisturbed = fit.Training(_RECIPE, tiny, seed=1, device="cuda")
    undisturbed.run_epoch()
    checkpoint.save(undisturbed.state())
    resumed = fit.Training(_RECIPE, tiny, seed=1, device="cuda")
    resumed.restore(checkpoint.load())
    assert resumed.run_epoch().loss == pytest.approx(undisturbed.run_epoch().loss, rel=1e-4)
