"""Every model there is, by name."""

from typing import Final

from smear.plain import PlainError
from trainer.models.face import Model
from trainer.models.older import OlderModel
from trainer.models.resnet50 import ResNetModel
from trainer.models.wnet import WNetModel
from trainer.older.families import FAMILIES


class UnknownModel(PlainError):
    """No model of that name."""


WNET: Final = WNetModel()
#: Names are the values of `--model`.
MODELS: Final[dict[str, Model]] = {
    model.name: model
    for model in (WNET, ResNetModel("batch"), ResNetModel("group"), *(OlderModel(name) for name in FAMILIES))
}


def model(name: str) -> Model:
    """The model of that name; raises UnknownModel."""
    if name not in MODELS:
        raise UnknownModel(f"no model {name!r}; there are: {', '.join(MODELS)}")
    return MODELS[name]
