"""`slide.json`, `slide.xml`, `slide.csv`: what an analyser or its middleware may say of a slide beside its pictures."""

import csv
import io
import json
from dataclasses import dataclass
from typing import Annotated, Any, Final
from xml.parsers import expat

from pydantic import BaseModel, ConfigDict, Field, ValidationError


MAX_SIDECAR_BYTES: Final = 64 * 1024
#: In any case; where several are there the first counts.
SIDECARS: Final = ("slide.json", "slide.xml", "slide.csv")


def is_sidecar(path: str) -> bool:
    """Whether a file of this path is a slide's sidecar, read or not."""
    return path.rpartition("/")[2].lower() in SIDECARS


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


#: What each field has to be, as the person who writes the sidecar reads it.
_WANTED: Final = {
    "order_id": "text of at most 200 characters",
    "specimen": "text of at most 200 characters",
    "wbc_10e9_L": "a number from 0 to 10,000",
    "scanned_at": "text of at most 64 characters",
    "stain": "text of at most 200 characters",
    "expected_cells": "a whole number from 0 to 1,000,000",
}
#: Fields whose wrong value is shown: the others may hold a patient's data, and stand in the file.
_SHOWN: Final = frozenset({"wbc_10e9_L", "expected_cells"})
_SHOWN_LENGTH: Final = 40


@dataclass(frozen=True)
class Understood:
    """What a sidecar says, None where it says nothing that can be read; and a sentence for each thing in it that is
    not understood.
    """

    sidecar: Sidecar | None
    problems: tuple[str, ...] = ()


class _NotUnderstood(Exception):
    """Bytes that are no sidecar; its text says why."""


def understand(data: bytes, name: str = "slide.json") -> Understood:
    """The sidecar in these bytes. It is only a hint, so that what is wrong with it is said and stops nothing.

    A field that is not what it should be, or that is given twice, is left out and named; the others hold. Unknown
    fields are left alone, but a sidecar that holds nothing else is not understood. XML: the fields are elements in the
    root, or its attributes. CSV: a line of names and a line of values, parted by commas or semicolons.
    """
    kind = name.rpartition(".")[2].lower()
    if len(data) > MAX_SIDECAR_BYTES:
        return Understood(None, (f"not used: larger than {MAX_SIDECAR_BYTES // 1024} KB",))
    try:
        fields = {"json": _from_json, "xml": _from_xml, "csv": _from_csv}[kind](data)
    except _NotUnderstood as error:
        return Understood(None, (f"not used: {error}",))
    problems = [f"{field} is not used: it is given twice with different values" for field in fields.contradicted]
    # JSON tells numbers from text; in the others everything is text.
    strict = kind == "json"
    values = {field: value for field, value in fields.values.items() if field in Sidecar.model_fields}
    try:
        found = Sidecar.model_validate(values, strict=strict)
    except ValidationError as error:
        wrong = sorted({str(problem["loc"][0]) for problem in error.errors()}, key=list(Sidecar.model_fields).index)
        problems += [_wrong(field, values[field]) for field in wrong]
        found = Sidecar.model_validate({f: value for f, value in values.items() if f not in wrong}, strict=strict)
    if fields.values and not values and not problems:
        problems.append(f"it has no known field; known fields are: {', '.join(Sidecar.model_fields)}")
    return Understood(found, tuple(problems))


def _wrong(field: str, value: Any) -> str:
    said = f"{field} is not used: it must be {_WANTED[field]}"
    if field not in _SHOWN:
        return said
    # As JSON in ASCII: nothing in it steers a terminal or is refused by a database.
    return f"{said}; found {json.dumps(value, default=str)[:_SHOWN_LENGTH]}"


@dataclass(frozen=True)
class _Told:
    """The fields of a sidecar as they stand there, and those that are given twice with different values."""

    values: dict[str, Any]
    contradicted: tuple[str, ...] = ()


def _from_json(data: bytes) -> _Told:
    contradicted: set[str] = set()

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        told: dict[str, Any] = {}
        # The same object is no contradiction, also where it is not even equal to itself: NaN.
        twice = {name for name, value in pairs if (first := told.setdefault(name, value)) is not value != first}
        contradicted.update(twice & Sidecar.model_fields.keys())
        return {name: value for name, value in told.items() if name not in twice}

    try:
        told = json.loads(data, object_pairs_hook=once)
    except (ValueError, RecursionError):
        raise _NotUnderstood("not valid JSON, or part of it is missing") from None
    if not isinstance(told, dict):
        raise _NotUnderstood("not a JSON object")
    return _Told(told, tuple(sorted(contradicted)))


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


def _from_xml(data: bytes) -> _Told:
    fields = _Fields()
    try:
        fields.read(data)
    except _Refused:
        raise _NotUnderstood("XML with a document type is not read") from None
    except (expat.ExpatError, ValueError, LookupError):  # the last two: an encoding that is none
        raise _NotUnderstood("not valid XML, or part of it is missing") from None
    return _told_once(fields.pairs)


def _from_csv(data: bytes) -> _Told:
    try:
        text = data.decode("utf-8-sig")
        semicolons = ";" in text.split("\n", 1)[0]
        rows = [row for row in csv.reader(io.StringIO(text), delimiter=";" if semicolons else ",", strict=True) if row]
    except UnicodeDecodeError:
        raise _NotUnderstood("not UTF-8 text") from None
    except csv.Error:
        raise _NotUnderstood("not valid CSV, or part of it is missing") from None
    if len(rows) != 2 or len(rows[0]) != len(rows[1]):
        raise _NotUnderstood("it must hold one line of names and one line with as many values")
    pairs = [(name.strip(), value.strip()) for name, value in zip(*rows, strict=True)]
    if semicolons:  # where those part columns, a comma is the decimal sign
        pairs = [(name, value.replace(",", ".") if name == "wbc_10e9_L" else value) for name, value in pairs]
    return _told_once(pairs)


def _told_once(pairs: list[tuple[str, str]]) -> _Told:
    """The fields that have a value, and those with more than one: what has none says nothing."""
    told: dict[str, set[str]] = {}
    for name, value in pairs:
        told.setdefault(name, set()).add(value)
    known = Sidecar.model_fields
    twice = tuple(name for name in known if len(told.get(name, ())) > 1)
    values = {name: next(iter(found)) for name, found in told.items() if len(found) == 1 and found != {""}}
    return _Told(values, twice)
