"""One of the older families as a model among others: what it sees of a picture are its features."""

import hashlib
from typing import ClassVar

from smear.plain import PlainError
from trainer.describe import Layer
from trainer.fit import Images, Weights
from trainer.learning import Inputs, Learner, Settings
from trainer.models.face import Model
from trainer.older.families import FAMILIES
from trainer.older.features import COUNTS, features
from trainer.older.recipes import OLDER_RECIPE, RECIPES, USUAL, OlderRecipe
from trainer.training_set import TrainingSet


class FittedOnce(PlainError):
    """Epochs were asked for, and there are none."""


class OlderModel(Model):
    """A family of `trainer.older.families`; what a fitted one holds depends on the data."""

    default, known, kind = USUAL.name, RECIPES, OLDER_RECIPE
    #: The pictures seen last, by the hash of their pixels: all families see the same of them, one after the other.
    _last: ClassVar[dict[str, Inputs]] = {}

    def __init__(self, name: str) -> None:
        self.name, self.title = name, FAMILIES[name].title

    def recipe(self, name: str | None = None, epochs: int | None = None) -> Settings:
        """As of any model; raises FittedOnce where more than one epoch is asked for."""
        if epochs not in {None, 1}:
            raise FittedOnce(f"{self.name} is fitted once and has no epochs; leave --epochs out")
        return super().recipe(name)

    def see(self, images: Images) -> Inputs:
        """(N, 128, 128, 3) uint8 -> (N, F) float32."""
        pixels = hashlib.sha256(images.tobytes()).hexdigest()
        if pixels not in self._last:
            self._last.clear()
            self._last[pixels] = features(images)
        return self._last[pixels]

    def learner(self, recipe: Settings, data: TrainingSet, seed: int, init: Weights | None, device: str) -> Learner:
        """A fit of `trainer.older.fit`, on the CPU wherever it is called."""
        assert isinstance(recipe, OlderRecipe)
        assert init is None
        del device
        # scikit-learn takes two seconds to import, which the processes of every other model need not wait for.
        from trainer.older.fit import OlderFit  # noqa: PLC0415

        return OlderFit(self.name, recipe, data, seed)

    def layers(self) -> list[Layer]:
        """The features and the steps of the pipeline."""
        found = [Layer(f"{part} of the picture", (count,), 0) for part, count in COUNTS.items()]
        return found + [Layer(step, (), 0) for step in FAMILIES[self.name].steps]
