"""Where the folders that are shipped with the project lie: `samples`, `holdout`, `core`, `outside`,
`references`, `models`.
"""

from pathlib import Path
from typing import Final, Literal

import smear
from smear.bundle import MANIFEST, BadBundle


ShippedFolder = Literal["samples", "holdout", "core", "outside", "references", "models"]

_PACKAGE: Final = Path(smear.__file__).parent


def folder(name: ShippedFolder) -> Path:
    """The shipped folder of that name: inside the installed package, else in the root of the checkout.

    Raises FileNotFoundError where it is in neither.
    """
    for candidate in (_PACKAGE / "_shipped" / name, _PACKAGE.parent / name):
        if candidate.is_dir():
            return candidate
    raise FileNotFoundError(f"the folder {name}/ that is shipped with W-Net Worker is not installed here")


def shipped_bundle() -> Path:
    """The folder of the bundle that this version ships; raises BadBundle where there is none."""
    try:
        models = folder("models")
    except FileNotFoundError as error:
        raise BadBundle(str(error)) from None
    found = sorted(p.parent for p in models.glob(f"[!.]*/{MANIFEST}"))
    if not found:
        raise BadBundle(f"no bundle in {models}")
    return found[-1]
