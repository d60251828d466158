"""`slide.json`: what an analyser or its middleware may say of a slide beside its pictures."""

import json
from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError


MAX_SIDECAR_BYTES: Final = 64 * 1024


class Sidecar(BaseModel):
    """The fields that are understood; others are left alone. The WBC count is in 10^9 cells a litre."""

    model_config = ConfigDict(frozen=True, extra="ignore")
    order_id: Annotated[str, Field(max_length=200)] | None = None
    specimen: Annotated[str, Field(max_length=200)] | None = None
    wbc_10e9_L: Annotated[float, Field(ge=0, le=10_000)] | None = None  # noqa: N815 - the unit's own spelling
    scanned_at: Annotated[str, Field(max_length=64)] | None = None
    stain: Annotated[str, Field(max_length=200)] | None = None
    expected_cells: Annotated[int, Field(ge=0, le=1_000_000)] | None = None


def parse(data: bytes) -> Sidecar | None:
    """The sidecar in these bytes; None where they are none (half written, or not JSON): it is only a hint.

    A field that is not what it should be is left out; the others hold.
    """
    try:
        told = json.loads(data)
    except (ValueError, RecursionError):
        return None
    if not isinstance(told, dict):
        return None
    try:
        return Sidecar.model_validate(told)
    except ValidationError as error:
        wrong = {problem["loc"][0] for problem in error.errors()}
        return Sidecar.model_validate({name: value for name, value in told.items() if name not in wrong})
