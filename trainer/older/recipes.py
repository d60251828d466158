"""What can be chosen of an older family, which is little."""

from dataclasses import dataclass
from typing import Annotated, Final, Literal

from pydantic import ConfigDict, Field, TypeAdapter

from trainer.recipes import Some


@dataclass(frozen=True)
class OlderRecipe:
    """What can be chosen of an older family: the settings of its classifier are fixed in `families`."""

    __pydantic_config__ = ConfigDict(extra="forbid", allow_inf_nan=False)

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,62}$")] = "usual"
    epochs: Literal[1] = 1
    inner_share: Annotated[float, Field(ge=0, le=0.5)] = 0.0
    views: Literal[1] = 1
    pictures_per_type: Some | None = None


USUAL: Final = OlderRecipe()
SMOKE: Final = OlderRecipe(name="smoke", pictures_per_type=24)
RECIPES: Final = {recipe.name: recipe for recipe in (USUAL, SMOKE)}
OLDER_RECIPE: Final = TypeAdapter(OlderRecipe)
