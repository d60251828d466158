from dataclasses import replace

import numpy as np
import pytest
import torch

from smear.geometry import profile
from trainer import fit, learning, training_set
from trainer.checkpoint import Checkpoint, OtherRun
from trainer.recipes import Augmentation, Recipe
from trainer.training_set import TrainingSet


_TWO_EPOCHS = replace(Recipe(), epochs=2, batch=8)


@pytest.fixture
def tiny(make_data) -> TrainingSet:
    choice = training_set.choose(make_data(per_type=4), 0.25, training_set.withheld())
    return training_set.load(choice, profile("whole"))


def _stop_after_one(epoch: learning.Epoch) -> None:
    if epoch.number == 1:
        raise KeyboardInterrupt


def test_a_run_that_was_interrupted_ends_as_one_that_was_not(tiny, tmp_path):
    undisturbed = fit.Training(_TWO_EPOCHS, tiny, seed=5)
    for _ in range(2):
        undisturbed.run_epoch()

    checkpoint = Checkpoint(tmp_path / "checkpoint.pt", "run")
    with pytest.raises(KeyboardInterrupt):
        learning.run(fit.Training(_TWO_EPOCHS, tiny, seed=5), checkpoint, _stop_after_one)
    resumed = fit.Training(_TWO_EPOCHS, tiny, seed=5)
    resumed.restore(checkpoint.load())
    assert resumed.epochs_done == 1
    resumed.run_epoch()

    for name, value in undisturbed.average.items():
        assert torch.equal(value, resumed.average[name]), name
        assert torch.equal(undisturbed.network.state_dict()[name], resumed.network.state_dict()[name]), name
    assert not torch.equal(undisturbed.average["dense2.weight"], undisturbed.network.state_dict()["dense2.weight"])


def test_another_seed_is_another_run(tiny, tmp_path):
    losses = [fit.Training(_TWO_EPOCHS, tiny, seed=seed).run_epoch().loss for seed in (1, 1, 2)]
    assert losses[0] == losses[1] != losses[2]


def test_it_learns_what_it_is_shown(tiny):
    plain = Augmentation(warped_share=0, gain=0)
    recipe = replace(_TWO_EPOCHS, epochs=8, warmup_epochs=0, conv_drop=0, dense_drop=0, augmentation=plain)
    training = fit.Training(recipe, tiny, seed=0)
    losses = [training.run_epoch().loss for _ in range(recipe.epochs)]
    assert losses[-1] < 0.9 * np.log(5)  # what guessing costs


def test_a_loss_that_is_no_number_breaks_the_run_off(tiny):
    training = fit.Training(_TWO_EPOCHS, tiny, seed=0)
    with torch.no_grad():
        training.network.dense2.bias[0] = float("nan")
    with pytest.raises(learning.BrokeOff, match="the loss became nan in epoch 1"):
        training.run_epoch()


def test_weights_that_grow_without_end_break_the_run_off_before_their_answers_are_scored(tiny):
    training = fit.Training(_TWO_EPOCHS, tiny, seed=0)
    for value in training.average.values():
        value.fill_(3e38)  # finite still
    with pytest.raises(learning.BrokeOff, match="answers are no longer numbers"):
        training.inner_scores()


def test_a_full_disk_breaks_the_run_off_and_leaves_the_last_checkpoint(tiny, tmp_path):
    class FullDisk(Checkpoint):
        def save(self, state):
            raise OSError("no space left on device")

    with pytest.raises(learning.BrokeOff, match="no space left"):
        learning.run(fit.Training(_TWO_EPOCHS, tiny, seed=0), FullDisk(tmp_path / "checkpoint.pt", "run"))


def test_an_interruption_while_the_checkpoint_is_written_is_one_and_keeps_the_one_before(tmp_path, monkeypatch):
    checkpoint = Checkpoint(tmp_path / "checkpoint.pt", "run")
    checkpoint.save({"epochs_done": 1})

    def interrupted_in_torchs_writer(*_):
        error = RuntimeError("unexpected pos")
        error.__context__ = KeyboardInterrupt()
        raise error

    monkeypatch.setattr(torch, "save", interrupted_in_torchs_writer)
    with pytest.raises(KeyboardInterrupt):
        checkpoint.save({"epochs_done": 2})
    assert checkpoint.load() == {"epochs_done": 1}
    assert [p.name for p in tmp_path.iterdir()] == ["checkpoint.pt"]


def test_a_checkpoint_of_another_run_is_refused_and_none_is_none(tmp_path):
    path = tmp_path / "run" / "checkpoint.pt"
    assert Checkpoint(path, "one").load() is None
    Checkpoint(path, "one").save({"epochs_done": 3})
    assert Checkpoint(path, "one").load() == {"epochs_done": 3}
    with pytest.raises(OtherRun, match="other data or settings"):
        Checkpoint(path, "two").load()
    Checkpoint(path, "one").remove()
    assert not path.parent.exists()


def test_the_learning_rate_warms_up_and_falls_to_zero():
    recipe = replace(Recipe(), epochs=10, warmup_epochs=1)
    rates = np.array([learning.learning_rate(recipe, step, 20) for step in range(200)])
    assert rates[0] == pytest.approx(recipe.learning_rate / 20)
    assert rates.argmax() in {19, 20}
    assert rates.max() == pytest.approx(recipe.learning_rate)
    assert (np.diff(rates[20:]) < 0).all()
    assert rates[-1] < 1e-3 * recipe.learning_rate
