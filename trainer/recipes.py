"""Everything about a training run that a person chose, in one frozen object that is saved with the result."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Final, Literal, TypeVar

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

from smear.plain import PlainError
from trainer.learning import Settings


#: What a recipe from a file may say.
Share = Annotated[float, Field(ge=0, le=1)]
Rate = Annotated[float, Field(ge=0, lt=1)]
Width = Annotated[float, Field(ge=0, le=10)]
Some = Annotated[int, Field(ge=1)]
Amount = Annotated[float, Field(ge=0)]


class UnknownRecipe(PlainError):
    """No recipe of that name, or a file that holds none."""


@dataclass(frozen=True)
class Augmentation:
    """How a training picture is changed before each look at it.

    Numbers are half-widths around "unchanged", shares of the pictures (`..._share`), or the most there is (`blur_px`,
    `noise`).

    A cell has no orientation, so one of the eight dihedral views is always drawn. `warped_share` of the pictures are
    also turned by any angle, scaled (log-uniform within +-`scale`) and shifted (+-`shift_px`). `blurred_share` of them
    are seen by a poor camera: blurred by a Gaussian of up to `blur_px` (sigma) and covered with noise of up to `noise`
    (deviation, of white). `standardised_share` of them come in standardised colours (`trainer.colours`). Colour
    imitates other cameras and stains: a gain and a black level a channel, a stain density a channel (exponent of the
    intensity, which is a factor on optical density), hue (radians) and saturation.
    """

    __pydantic_config__ = ConfigDict(extra="forbid", allow_inf_nan=False)

    warped_share: Share = 0.5
    scale: Width = 0.15
    shift_px: Amount = 6.0
    blurred_share: Share = 0.0
    blur_px: Annotated[float, Field(ge=0.3)] = 2.0
    noise: Width = 0.0
    standardised_share: Share = 0.0
    gain: Width = 0.15
    black_level: Width = 0.0
    stain: Width = 0.0
    hue: Width = 0.0
    saturation: Width = 0.0


@dataclass(frozen=True)
class Recipe:
    """Hyperparameters; the defaults are those of `best`. LOG.md has which of them were compared, and which were not.

    `learning_rate` is Adam's peak, reached after `warmup_epochs`; where `cosine`, it falls towards zero on half a
    cosine, else it stays. Convolutions, whose sums have far fewer terms than the wide layer's, take `conv_rate` times
    it.
    Dropout rates are probabilities to drop. `logit_adjustment` adds that multiple of log(share of the type) to the
    logits while training (Menon et al., 2021), so that the small class is not starved. `average_epochs` is the time
    constant of the moving average of the weights, which is what is kept (0: the weights as they are). `inner_share` of
    the training part is kept apart for calibration. `views` (1 or 8) are averaged where a network is tested.
    `pictures_per_type`, if not None, thins the data out, evenly by type.
    """

    __pydantic_config__ = ConfigDict(extra="forbid", allow_inf_nan=False)

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,62}$")] = "best"
    epochs: Some = 50
    batch: Some = 32
    learning_rate: Annotated[float, Field(gt=0)] = 6e-4
    conv_rate: Annotated[float, Field(gt=0)] = 1.0
    warmup_epochs: Amount = 1.0
    cosine: bool = True
    conv_drop: Rate = 0.1
    dense_drop: Rate = 0.4
    whole_channels: bool = True
    label_smoothing: Rate = 0.0
    logit_adjustment: Amount = 0.5
    average_epochs: Amount = 2.0
    inner_share: Annotated[float, Field(ge=0, le=0.5)] = 0.05
    views: Literal[1, 8] = 8
    pictures_per_type: Some | None = None
    augmentation: Augmentation | None = Augmentation()


BEST: Final = Recipe()
#: The paper's protocol (Jung et al., 2019): nothing but Adam 1e-4 at batch 5 for 500 epochs, 0.6 dropped everywhere.
PAPER: Final = Recipe(
    name="paper", epochs=500, batch=5, learning_rate=1e-4, warmup_epochs=0, cosine=False, conv_drop=0.6,
    dense_drop=0.6, whole_channels=False, label_smoothing=0, logit_adjustment=0, average_epochs=0, inner_share=0,
    views=1, augmentation=None,
)  # fmt: skip
#: From a bundle on, with few and new cells: a gentle rate, and no longer than it takes to move.
FINETUNE: Final = Recipe(name="finetune", epochs=10, learning_rate=1e-4, warmup_epochs=0.5, average_epochs=1.0)
#: `best` through the whole of it in seconds: its figures mean nothing.
SMOKE: Final = Recipe(name="smoke", epochs=2, batch=16, inner_share=0.1, pictures_per_type=24, warmup_epochs=0.5)
#: `best` where cells are few: none is kept apart, since a slide's cells stay together and would leave as a whole.
SMALL: Final = replace(BEST, name="small", inner_share=0)
#: The paper's protocol on its small set (LISC): 4,000 epochs.
PAPER_SMALL: Final = replace(PAPER, name="paper-small", epochs=4000)
RECIPES: Final = {recipe.name: recipe for recipe in (PAPER, BEST, FINETUNE, SMOKE, SMALL, PAPER_SMALL)}
_Kind = TypeVar("_Kind", bound=Settings)


def recipe(name: str) -> Recipe:
    """W-Net's recipe of that name, or one from a JSON file (`*.json`) of what differs from `best`.

    Raises UnknownRecipe. A file's recipe is named after the file, unless it names itself.
    """
    return find(name, RECIPES, WNET_RECIPE)


def find(name: str, known: Mapping[str, _Kind], kind: TypeAdapter[_Kind]) -> _Kind:
    """The recipe of that name among those of a model, or one from a JSON file; raises UnknownRecipe."""
    if name in known:
        return known[name]
    if not name.endswith(".json"):
        raise UnknownRecipe(f"no recipe {name!r}; there are: {', '.join(known)}, or a JSON file")
    try:
        read = _FILE.validate_json(Path(name).read_bytes())
        found = kind.validate_python({"name": Path(name).stem} | read)
    except (OSError, UnicodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise UnknownRecipe(f"cannot read the recipe {name}: {reason}") from None
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the file"
        raise UnknownRecipe(f"{name} is no recipe: {where}: {first['msg']}") from None
    if found.name in known and found != known[found.name]:
        raise UnknownRecipe(f"{name} differs from the recipe {found.name}; give it another name")
    return found


def shortened(given: Settings, known: Mapping[str, Settings] = RECIPES) -> str | None:
    """What has to be said of a recipe that is run for another number of epochs than its own; None of the others."""
    named = known.get(given.name)
    if named is None or named.epochs == given.epochs:
        return None
    return f"{given.epochs} instead of the recipe's {named.epochs} epochs"


_FILE: Final = TypeAdapter(dict[str, object])
WNET_RECIPE: Final = TypeAdapter(Recipe)
