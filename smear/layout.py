"""How an analyser lays a slide out in its export folder: the layouts by name. They differ in where pictures lie.

No public specification of the DI-60's export exists, so the layout is configuration (WNET_LAYOUT).
"""

import re
from functools import cache
from typing import Final

from smear.layouts.classes import ClassesLayout
from smear.layouts.dated import DatedLayout
from smear.layouts.flat import DEFAULT_PATTERN, FlatLayout
from smear.layouts.manifest import ManifestLayout
from smear.layouts.slides import SlidesLayout
from smear.listing import COMPLETE_MARKER, PICTURE_SUFFIXES, FoundPicture, Layout, Listing


__all__ = [
    "COMPLETE_MARKER",
    "LAYOUTS",
    "PICTURE_SUFFIXES",
    "ClassesLayout",
    "FoundPicture",
    "Layout",
    "Listing",
    "SlidesLayout",
    "is_blood",
    "layout",
]

LAYOUTS: Final[dict[str, Layout]] = {
    one.name: one for one in (SlidesLayout(), ClassesLayout(), DatedLayout(), FlatLayout(), ManifestLayout())
}


@cache
def layout(name: str) -> Layout:
    """The layout of that name, or `flat:PATTERN`; ValueError names those there are, or what ails the pattern."""
    kind, colon, pattern = name.partition(":")
    if kind == "flat" and colon:
        return LAYOUTS["flat"] if pattern == DEFAULT_PATTERN else FlatLayout(pattern)
    try:
        return LAYOUTS[name]
    except KeyError:
        raise ValueError(f"no layout {name!r}; there are: {', '.join(LAYOUTS)}, flat:PATTERN") from None


def is_blood(slide_id: str, not_blood: str) -> bool:
    """Whether a slide of this name is a blood smear; body fluid and control slides get no differential."""
    return re.search(not_blood, slide_id) is None
