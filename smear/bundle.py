"""The bundle: a folder that holds a network and all that is needed to serve it, to judge it and to train on from it.

    manifest.json   written last; its presence says that the bundle is whole
    wnet.onnx       images uint8 (N, 128, 128, 3) -> logits (N, 5) float32, features (N, 1024) float32
    MODEL_CARD.md   for people

A bundle is never edited: a new one is made. Its id is NAME@ and the first 12 digits of a SHA-256 over what decides
its answers (network, geometry, cell order, calibration), so every host gives it the same id.
"""

import hashlib
import json
import os
import secrets
import shutil
import stat
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Final

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from smear.cells import CELL_TYPES
from smear.decision import Calibration
from smear.geometry import PROFILES
from smear.plain import PlainError


FORMAT: Final = 1
MANIFEST: Final = "manifest.json"
NETWORK: Final = "wnet.onnx"
MODEL_CARD: Final = "MODEL_CARD.md"
_MAX_MANIFEST_BYTES: Final = 2**20
#: What the file systems of Linux take.
_LONGEST_NAME_BYTES: Final = 255


class BadBundle(PlainError):
    """A bundle that must not be served; its text is the reason, in one plain sentence."""


def _plain_file_name(name: str) -> str:
    plain = name.isprintable() and not any(character in name for character in "/\\")
    if not plain or name in {"", ".", "..", MANIFEST} or len(os.fsencode(name)) > _LONGEST_NAME_BYTES:
        raise ValueError(f"{name!r} is not the plain name of a file in the bundle")
    return name


FileName = Annotated[str, AfterValidator(_plain_file_name)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
BundleName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,62}$")]


class DataSet(BaseModel):
    """What a network was trained on: the set's name, the SHA-256 of its (content, type) pairs, and how many."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    name: str
    sha256: Sha256
    images: int = Field(ge=0)


class Limits(BaseModel):
    """What a compiled form of the network must keep to, beside the float32 reference, before it may serve."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    type_agreement: float = Field(default=0.997, ge=0, le=1)
    class_average_loss: float = Field(default=0.002, ge=0, le=1)


class Manifest(BaseModel):
    """manifest.json, format 1."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    format: int
    name: BundleName
    created: datetime
    cell_types: tuple[str, ...]
    geometry: str
    files: dict[FileName, Sha256]
    parent: str | None
    data: DataSet
    command: str
    recipe: dict[str, Any] = Field(default_factory=dict)
    scores: dict[str, Any]
    calibration: Calibration
    limits: Limits
    training_mix: dict[str, float]

    @property
    def bundle_id(self) -> str:
        """NAME@ and 12 hexadecimal digits over everything that decides this bundle's answers."""
        deciding = {
            "network": self.files.get(NETWORK),
            "geometry": self.geometry,
            "cell_types": self.cell_types,
            "calibration": self.calibration.model_dump(),
        }
        digest = hashlib.sha256(json.dumps(deciding, sort_keys=True, separators=(",", ":")).encode())
        return f"{self.name}@{digest.hexdigest()[:12]}"


@dataclass(frozen=True)
class Bundle:
    """A verified bundle on disk."""

    folder: Path
    manifest: Manifest

    @property
    def bundle_id(self) -> str:
        """The id that results carry."""
        return self.manifest.bundle_id

    @property
    def network(self) -> Path:
        """Path of the ONNX file."""
        return self.folder / NETWORK


def load(folder: Path) -> Bundle:
    """Read and verify a bundle; raises BadBundle with one plain sentence for anything this version does not know."""
    manifest = _read_manifest(folder)
    if manifest.cell_types != CELL_TYPES:
        order = ", ".join(manifest.cell_types)[:200].encode("unicode_escape").decode()
        raise BadBundle(f"{folder}: its cell order is {order}, not {', '.join(CELL_TYPES)}")
    if manifest.geometry not in PROFILES:
        raise BadBundle(f"{folder}: geometry profile {manifest.geometry[:200]!r} is unknown to this version")
    if NETWORK not in manifest.files:
        raise BadBundle(f"{folder}: its manifest names no {NETWORK}")
    for name, sha256 in manifest.files.items():
        if _sha256(folder, name) != sha256:
            raise BadBundle(f"{folder}: {name} is not what its manifest says (SHA-256 differs): copy it again")
    return Bundle(folder, manifest)


def _sha256(folder: Path, name: str) -> str:
    path = folder / name
    try:
        if not stat.S_ISREG(path.lstat().st_mode):
            raise BadBundle(f"{folder}: {name} is missing or not a plain file")
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        raise BadBundle(f"{folder}: {name} is missing or not a plain file") from None
    except OSError as error:
        raise BadBundle(f"{folder}: {name} cannot be read: {error.strerror}") from None


def _read_manifest(folder: Path) -> Manifest:
    path = folder / MANIFEST
    try:
        found = path.stat()
        if not stat.S_ISREG(found.st_mode):  # a pipe would keep its reader for ever
            raise BadBundle(f"{path} is no plain file")
        if found.st_size > _MAX_MANIFEST_BYTES:
            raise BadBundle(f"{path} is too large to be a manifest")
        raw = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise BadBundle(f"no bundle at {folder}: there is no {MANIFEST}") from None
    except OSError as error:
        raise BadBundle(f"{path} cannot be read: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        raise BadBundle(f"{path} cannot be read: {error}") from None
    version = raw.get("format") if isinstance(raw, dict) else None
    if version != FORMAT:
        shown = ascii(version)[:100]
        raise BadBundle(f"{folder}: bundle format {shown} is unknown to this version, which reads {FORMAT}")
    try:
        return Manifest.model_validate(raw)
    except ValidationError as error:
        first = error.errors()[0]
        # Names in a manifest may hold anything; what is shown holds no control characters.
        where = ".".join(str(part) for part in first["loc"]).encode("unicode_escape").decode()
        raise BadBundle(f"{path} is not a valid manifest: {where}: {first['msg']}") from None


def write(
    parent_folder: Path,
    name: str,
    network: bytes,
    model_card: str,
    *,
    geometry: str,
    data: DataSet,
    command: str,
    scores: dict[str, Any],
    calibration: Calibration,
    training_mix: dict[str, float],
    recipe: dict[str, Any] | None = None,
    parent: str | None = None,
    limits: Limits | None = None,
    created: datetime | None = None,
) -> Bundle:
    """Write `parent_folder/name` under a temporary name, manifest last, rename it and verify it.

    Raises FileExistsError where a bundle of that name is already there: bundles are never edited.
    """
    final = parent_folder / name
    if final.exists():
        raise FileExistsError(f"{final} is there already; a bundle is never edited, choose another name")
    parts = {NETWORK: network, MODEL_CARD: model_card.encode()}
    manifest = Manifest(
        format=FORMAT,
        name=name,
        created=created or datetime.now(UTC).replace(microsecond=0),
        cell_types=CELL_TYPES,
        geometry=geometry,
        files={part: hashlib.sha256(content).hexdigest() for part, content in parts.items()},
        parent=parent,
        data=data,
        command=command,
        recipe=recipe or {},
        scores=scores,
        calibration=calibration,
        limits=limits or Limits(),
        training_mix=training_mix,
    )
    temporary = parent_folder / f".{name}.{secrets.token_hex(4)}"
    temporary.mkdir(parents=True)
    try:
        for part, content in parts.items():
            (temporary / part).write_bytes(content)
        (temporary / MANIFEST).write_text(manifest.model_dump_json(indent=2) + "\n", encoding="utf-8")
        temporary.rename(final)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return load(final)
