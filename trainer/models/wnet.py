"""W-Net as a model among others."""

from smear.geometry import SIDE_PX
from trainer import describe
from trainer.describe import Layer
from trainer.fit import Training, Weights
from trainer.learning import Learner, Settings
from trainer.models.face import Model
from trainer.recipes import BEST, RECIPES, WNET_RECIPE, Recipe
from trainer.training_set import TrainingSet
from trainer.wnet import PARAMETERS


class WNetModel(Model):
    """The paper's network, the only one that becomes a bundle."""

    name, title = "wnet", "W-Net"
    parameters = PARAMETERS
    side_px = SIDE_PX
    default, known, kind = BEST.name, RECIPES, WNET_RECIPE
    from_bundles = True

    def learner(self, recipe: Settings, data: TrainingSet, seed: int, init: Weights | None, device: str) -> Learner:
        """A run of `trainer.fit`."""
        assert isinstance(recipe, Recipe)
        return Training(recipe, data, seed, init, device)

    def layers(self) -> list[Layer]:
        """Counted in the network itself."""
        return describe.layers()
