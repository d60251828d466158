"""The one face of every model that can be cross-validated: its name, what it sees of a picture, its recipes, runs."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from pydantic import TypeAdapter

from smear.geometry import SIDE_PX, Profile
from smear.labelled import Pixels, load_pixels
from trainer import recipes
from trainer.describe import Layer
from trainer.fit import Images, Weights
from trainer.learning import Inputs, Learner, Settings
from trainer.training_set import TrainingSet


class Model(ABC):
    """What a cross-validation needs to know of a model; everything else is behind `learner`.

    `title` is for people. `parameters` are trainable ones, None where their number depends on the data. `known` are its
    recipes by name, `default` the one that is taken where none is given. After each epoch `observed_cells` of a fold's
    test cells are scored for the curve (all where None), which chooses nothing. `variants` names the further ways in
    which a learner's weights can be asked. Only `from_bundles` start from another run's weights.
    """

    name: str
    title: str
    parameters: int | None = None
    side_px: int = SIDE_PX
    default: str
    known: Mapping[str, Settings]
    kind: TypeAdapter[Any]
    observed_cells: int | None = None
    variants: tuple[str, ...] = ()
    from_bundles: bool = False

    def recipe(self, name: str | None = None, epochs: int | None = None) -> Settings:
        """The recipe of that name, or from a JSON file, for so many epochs; raises UnknownRecipe."""
        found: Settings = recipes.find(name or self.default, self.known, self.kind)
        return found if epochs is None else replace(found, epochs=epochs)

    def saved(self, settings: Mapping[str, Any]) -> Settings:
        """A recipe from what `run.json` keeps of it; raises ValidationError."""
        found: Settings = self.kind.validate_python(settings)
        return found

    def shortened(self, recipe: Settings) -> str | None:
        """What has to be said of a recipe that is run for another number of epochs than its own."""
        return recipes.shortened(recipe, self.known)

    def see(self, images: Images) -> Inputs:
        """What the model takes of (N, side_px, side_px, 3) uint8 pictures: themselves, unless it says otherwise."""
        return images

    def inputs(self, pixels: Pixels, geometry: Profile) -> Inputs:
        """What the model takes of cells that are in memory at 128 x 128; read again where it wants another size."""
        if self.side_px != SIDE_PX:
            pixels = load_pixels(pixels.cells, geometry, side_px=self.side_px)
        return self.see(pixels.images)

    @abstractmethod
    def learner(self, recipe: Settings, data: TrainingSet, seed: int, init: Weights | None, device: str) -> Learner:
        """A run at its beginning; every random number is keyed by `seed`."""

    @abstractmethod
    def layers(self) -> list[Layer]:
        """From picture to answer, for people."""
