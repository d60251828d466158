"""`slide.json`, `slide.xml`, `slide.csv`: what an analyser or its middleware may say of a slide beside its pictures."""

import csv
import io
import json
from typing import Annotated, Any, Final
from xml.parsers import expat

from pydantic import BaseModel, ConfigDict, Field, ValidationError


MAX_SIDECAR_BYTES: Final = 64 * 1024
#: In any case; where several are there the first counts.
SIDECARS: Final = ("slide.json", "slide.xml", "slide.csv")


#: A NUL is no text, and PostgreSQL stores none.
_TEXT: Final = r"^[^\x00]*$"


class Sidecar(BaseModel):
    """The fields that are understood; others are left alone. The WBC count is in 10^9 cells a litre."""

    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)
    order_id: Annotated[str, Field(max_length=200, pattern=_TEXT)] | None = None
    specimen: Annotated[str, Field(max_length=200, pattern=_TEXT)] | None = None
    wbc_10e9_L: Annotated[float, Field(ge=0, le=10_000)] | None = None  # noqa: N815 - the unit's own spelling
    scanned_at: Annotated[str, Field(max_length=64, pattern=_TEXT)] | None = None
    stain: Annotated[str, Field(max_length=200, pattern=_TEXT)] | None = None
    expected_cells: Annotated[int, Field(ge=0, le=1_000_000)] | None = None


def parse(data: bytes, name: str = "slide.json") -> Sidecar | None:
    """The sidecar in these bytes; None where they are none (half written, or of another kind): it is only a hint.

    A field that is not what it should be, or that is given twice, is left out; the others hold. XML: the fields are
    elements in the root, or its attributes. CSV: a line of names and a line of values, parted by commas or semicolons.
    """
    kind = name.rpartition(".")[2].lower()
    if len(data) > MAX_SIDECAR_BYTES:
        return None
    told = {"json": _from_json, "xml": _from_xml, "csv": _from_csv}[kind](data)
    if told is None:
        return None
    # JSON tells numbers from text; in the others everything is text.
    strict = kind == "json"
    try:
        return Sidecar.model_validate(told, strict=strict)
    except ValidationError as error:
        wrong = {problem["loc"][0] for problem in error.errors()}
        return Sidecar.model_validate({name: value for name, value in told.items() if name not in wrong}, strict=strict)


def _from_json(data: bytes) -> dict[str, Any] | None:
    try:
        told = json.loads(data, object_pairs_hook=_never_contradicted)
    except (ValueError, RecursionError):
        return None
    return told if isinstance(told, dict) else None


def _never_contradicted(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    told: dict[str, Any] = {}
    contradicted = {name for name, value in pairs if told.setdefault(name, value) != value}
    return {name: value for name, value in told.items() if name not in contradicted}


class _Refused(Exception):
    """XML of a kind that is not read."""


class _Fields:
    """Collects the root's attributes and the text of the elements in it; deeper ones are no fields.

    Every document type is refused, and with it all entities.
    """

    def __init__(self) -> None:
        self.pairs: list[tuple[str, str]] = []
        self._depth = 0
        self._text: list[str] | None = None

    def read(self, data: bytes) -> None:
        parser = expat.ParserCreate(namespace_separator=None)
        parser.StartDoctypeDeclHandler = self._refuse
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._characters
        parser.Parse(data, True)

    def _refuse(self, *_: object) -> None:
        raise _Refused

    def _start(self, _name: str, attributes: dict[str, str]) -> None:
        self._depth += 1
        if self._depth == 1:
            self.pairs += attributes.items()
        self._text = [] if self._depth == 2 else None

    def _end(self, name: str) -> None:
        if self._depth == 2 and self._text is not None:
            self.pairs.append((name.rpartition(":")[2], "".join(self._text).strip()))
        self._depth -= 1
        self._text = None

    def _characters(self, text: str) -> None:
        if self._text is not None:
            self._text.append(text)


def _from_xml(data: bytes) -> dict[str, Any] | None:
    fields = _Fields()
    try:
        fields.read(data)
    except (expat.ExpatError, _Refused, ValueError, LookupError):
        return None  # ValueError and LookupError: an encoding that is none
    return _told_once(fields.pairs)


def _from_csv(data: bytes) -> dict[str, Any] | None:
    try:
        text = data.decode("utf-8-sig")
        semicolons = ";" in text.split("\n", 1)[0]
        rows = [row for row in csv.reader(io.StringIO(text), delimiter=";" if semicolons else ",", strict=True) if row]
    except (UnicodeDecodeError, csv.Error):
        return None
    if len(rows) != 2 or len(rows[0]) != len(rows[1]):
        return None
    pairs = [(name.strip(), value.strip()) for name, value in zip(*rows, strict=True)]
    if semicolons:  # where those part columns, a comma is the decimal sign
        pairs = [(name, value.replace(",", ".") if name == "wbc_10e9_L" else value) for name, value in pairs]
    return _told_once(pairs)


def _told_once(pairs: list[tuple[str, str]]) -> dict[str, Any]:
    """The fields that have a value and are told once, or always the same."""
    told = {name: {value for other, value in pairs if other == name} for name in Sidecar.model_fields}
    return {name: values.pop() for name, values in told.items() if len(values) == 1 and values != {""}}
