"""A bundle from its order: read the cells, train, judge, write; interrupted, the same order goes on."""

from smear.bundle import Bundle
from trainer import produce, terminal, training_set
from trainer.export import weights_from_bundle
from trainer.fit import Training
from trainer.learning import run
from trainer.terminal import Bars


def make(order: produce.Order, bars: Bars) -> Bundle:
    """Make the bundle; raises BadDataFolder, OtherRun, BrokeOff, OSError."""
    choice = training_set.choose(order.data, order.recipe.inner_share, training_set.withheld(), order.replay)
    others = produce.read_others(order)
    loaded = training_set.load(choice, order.geometry, bars.reading(None), skip_unusable=order.skip_unusable)
    terminal.say_refused(loaded.refused, bars.progress.console)
    training = Training(order.recipe, loaded, order.seed, weights_from_bundle(order.init) if order.init else None)
    checkpoint = produce.checkpoint_of(order, loaded)
    checkpoint.resume(training.restore)
    on_step, on_epoch = bars.training(training.epochs_done, order.recipe.epochs, training.steps_per_epoch)
    run(training, checkpoint, on_epoch, on_step)
    made = produce.produce(order, choice, loaded, training.average, others)
    checkpoint.remove()
    return made
