"""Fitting one of the older families: a learner of a single epoch and a single step."""

import warnings
from collections.abc import Callable, Iterator
from typing import Any, Final

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from smear.cells import CELL_TYPES
from smear.decision import softmax
from smear.plain import PlainError
from trainer.learning import Answers, Epoch, Inputs, no_variants, numbers
from trainer.older.pipelines import PIPELINES
from trainer.older.recipes import OlderRecipe
from trainer.scores import Floats, score
from trainer.training_set import TrainingSet


#: Below it a probability says no more than "no".
_LEAST: Final = 1e-6
_SEEDS: Final = 2**32


class CannotFit(PlainError):
    """Too few pictures for a family, or all of them alike."""


class OlderFit:
    """A `trainer.learning.Learner` over (N, F) features."""

    def __init__(self, family: str, recipe: OlderRecipe, data: TrainingSet, seed: int) -> None:
        self.recipe, self.data = recipe, data
        self.pipeline = PIPELINES[family](seed % _SEEDS)
        self.epochs_done = self.steps_done = 0
        self.steps_per_epoch = 1

    @property
    def epochs(self) -> int:
        """One: nothing is gone over twice."""
        return self.recipe.epochs

    def run_epoch(self, on_step: Callable[[], object] = lambda: None) -> Epoch:
        """Fit it; the loss is that of the training part after the fit. Raises CannotFit."""
        train, inner = self.data.train, self.data.inner
        with warnings.catch_warnings():
            # Stopped at its last pass rather than at rest: part of the family's description.
            warnings.simplefilter("ignore", ConvergenceWarning)
            try:
                self.pipeline.fit(train.images, train.labels)
            except ValueError as reason:
                raise CannotFit(f"this family cannot be fitted to {len(train.labels)} pictures: {reason}") from None
        self.epochs_done = self.steps_done = 1
        on_step()
        own = score(softmax(self.logits(train.images, 1)[0]), train.labels)
        scores = score(softmax(self.logits(inner.images, 1)[0]), inner.labels) if len(inner.labels) else None
        return Epoch(1, own.nll, 0.0, scores)

    def state(self) -> dict[str, Any]:
        """Nothing: who comes again fits again, which takes no longer than to read and trust a pickle."""
        return {}

    def restore(self, state: dict[str, Any]) -> None:
        """Begin again."""

    def logits(self, inputs: Inputs, views: int) -> Floats:
        """(1, N, 5) float32: logarithms of probabilities, or the support vector machine's decision values.

        The latter are no probabilities, and the report's calibration of them says nothing.
        """
        assert views == 1
        if not len(inputs):
            return np.empty((1, 0, len(CELL_TYPES)), np.float32)
        if hasattr(self.pipeline, "predict_proba"):
            found = np.log(np.maximum(self.pipeline.predict_proba(inputs), _LEAST))
        else:
            found = self.pipeline.decision_function(inputs)
        return numbers(np.asarray(found, np.float32)[None])

    def variants(self) -> Iterator[tuple[str, Answers]]:
        """None."""
        return no_variants()
