"""Compiled forms of a bundle on disk: what each is, for which host, and whether it may serve.

    WNET_VAR/engines/<bundle id>/<device and versions>/<precision>/
        form.json       what the form is, its files' SHA-256, how it agreed with the reference; read before all else
        network.*       what the runtime loads

A form is written under a temporary name and renamed. It is a cache of this host: whatever does not match in every
particular is not loaded, and anything here may be removed at any time.
"""

import errno
import hashlib
import platform
import re
import secrets
import shutil
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Annotated, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from smear.bundle import NETWORK, Bundle, FileName, Sha256
from smear.plain import PlainError


FORMAT: Final = 1
SIDECAR: Final = "form.json"
#: What a form of ONNX Runtime consists of; known here because ONNX Runtime itself is optional.
ONNX_MODEL: Final = "network.onnx"
_MAX_SIDECAR_BYTES: Final = 2**16
#: What decides which kernels OpenVINO has, and how fast each precision is.
_INSTRUCTIONS: Final = ("avx2", "avx_vnni", "avx512f", "avx512_vnni", "avx512_bf16", "amx_int8", "amx_bf16")
#: No build takes as long, so an older temporary folder is nobody's.
_ABANDONED_SECONDS: Final = 6 * 3600
#: Builds of one form that may come between, before one gives up.
_TRIES: Final = 20
_CPUINFO: Final = Path("/proc/cpuinfo")

Backend = Literal["openvino", "tensorrt", "onnx"]
Precision = Literal["fp32", "bf16", "fp16", "int8"]
#: Which runtimes load the forms of each backend.
_RUNTIMES: Final[dict[Backend, frozenset[str]]] = {
    "openvino": frozenset({"openvino"}),
    "onnx": frozenset({"onnxruntime"}),
    "tensorrt": frozenset({"tensorrt", "tensorrt_rtx"}),
}
#: What a sidecar says stands in messages and folder names: short, and no control characters.
_Word = Annotated[str, Field(pattern=r"^[^\x00-\x1f\x7f-\x9f]{1,120}$")]


class BadForm(PlainError):
    """A compiled form that is not loaded; its text is the reason, in one plain sentence."""


class CannotKeep(PlainError):
    """Compiled forms cannot be written here; its text is the reason: a full disk, a read-only folder."""


class Verification(BaseModel):
    """How a form answered beside the float32 reference on real pictures, and how fast beside the default engine."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    images: int = Field(gt=0)
    data: str
    largest_difference: float = Field(ge=0)
    type_agreement: float = Field(ge=0, le=1)
    class_average: float = Field(ge=0, le=1)
    reference_class_average: float = Field(ge=0, le=1)
    images_per_second: float = Field(gt=0)
    #: Its speed over that of the engine that runs where there is no compiled form: in turns, a thread each.
    times_default: float = Field(gt=0)
    reasons: tuple[str, ...]

    @property
    def ok(self) -> bool:
        """Whether the form kept to the bundle's limits."""
        return not self.reasons


class Form(BaseModel):
    """form.json, format 1."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    format: Literal[1] = 1
    bundle: _Word
    network_sha256: Sha256
    backend: Backend
    precision: Precision
    #: The distribution whose runtime loads it, and its version: ("openvino", "2026.4.1").
    runtime: Annotated[str, Field(pattern=r"^[a-z0-9_]+$")]
    version: _Word
    #: The processor's instructions, or the GPU's name; "any" for a plan of TensorRT-RTX built without a GPU.
    device: _Word
    compute_capability: _Word | None = None
    driver: _Word | None = None
    files: dict[FileName, Sha256]
    calibration: str | None = None
    kept_float: tuple[str, ...] = ()
    built: datetime
    verification: Verification | None = None

    @model_validator(mode="after")
    def _runtime_of_its_backend(self) -> Self:
        if self.runtime not in _RUNTIMES[self.backend]:
            raise ValueError(f"no runtime {self.runtime} loads forms of {self.backend}")
        return self

    @property
    def serves(self) -> bool:
        """Whether it was verified and kept to the bundle's limits: no worker runs another."""
        return self.verification is not None and self.verification.ok

    @property
    def name(self) -> str:
        """As results carry it: "openvino-int8"."""
        return f"{self.backend}-{self.precision}"

    @property
    def place(self) -> Path:
        """Where it lies below the bundle's folder of compiled forms."""
        parts = [self.runtime, self.version, self.device, self.compute_capability or ""]
        return Path("-".join(_plain(part) for part in parts if part)) / self.precision


@dataclass(frozen=True)
class StoredForm:
    """A form and the folder it lies in."""

    folder: Path
    form: Form

    def read(self, name: str) -> bytes:
        """A file's bytes as they will be loaded; raises BadForm unless they are those that the sidecar names."""
        path = self.folder / name
        try:
            if not stat.S_ISREG(path.lstat().st_mode):
                raise BadForm(f"{path} is no plain file: build it again")
            content = path.read_bytes()
        except OSError as error:
            raise BadForm(f"{path} cannot be read: {error.strerror}; build it again") from None
        if hashlib.sha256(content).hexdigest() != self.form.files.get(name):
            raise BadForm(f"{path} is not what its sidecar says (SHA-256 differs): build it again")
        return content

    def check(self) -> None:
        """Raises BadForm unless all its files are those that the sidecar names."""
        for name in self.form.files:
            self.read(name)

    @property
    def bytes_on_disk(self) -> int:
        """Size of its files; what is missing counts nothing."""
        return sum((self.folder / name).stat().st_size for name in self.form.files if (self.folder / name).is_file())


def forms_folder(engines: Path, bundle: Bundle) -> Path:
    """Where the compiled forms of a bundle lie; `engines` is WNET_VAR/engines."""
    return engines / bundle.bundle_id


def stored_forms(engines: Path, bundle: Bundle) -> Iterator[StoredForm | BadForm]:
    """Every form of a bundle, in order; what cannot be read comes as its reason."""
    for sidecar in sorted(forms_folder(engines, bundle).glob(f"[!.]*/[!.]*/{SIDECAR}")):
        try:
            yield StoredForm(sidecar.parent, _read(sidecar, bundle))
        except BadForm as error:
            yield error


def stamp(engines: Path, bundle: Bundle) -> tuple[tuple[str, int], ...]:
    """What changes when a form is added, replaced or removed; cheap enough to look at between slides."""
    found = []
    for sidecar in forms_folder(engines, bundle).glob(f"[!.]*/[!.]*/{SIDECAR}"):
        try:
            found.append((str(sidecar), sidecar.stat().st_mtime_ns))
        except OSError:
            continue  # being replaced just now
    return tuple(sorted(found))


def write(engines: Path, bundle: Bundle, fill: Callable[[Path], Form]) -> StoredForm:
    """Let `fill` write the form's files into a temporary folder; then the sidecar is added and the folder renamed.

    A form of the same place is replaced, also one that another build puts there meanwhile: the last one stays. Files
    that `fill` left and the form does not name are an error of ours. Raises CannotKeep.
    """
    root = forms_folder(engines, bundle)
    temporary = root / f".{secrets.token_hex(4)}"
    _sweep(root)
    try:
        temporary.mkdir(parents=True)
        form = fill(temporary)
        assert {path.name for path in temporary.iterdir()} == set(form.files)
        (temporary / SIDECAR).write_text(form.model_dump_json(indent=2) + "\n", encoding="utf-8")
        final = root / form.place
        final.parent.mkdir(exist_ok=True)
        _replace(final, temporary)
    except OSError as error:
        raise CannotKeep(f"compiled forms cannot be kept in {root}: {error.strerror or error}") from None
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return StoredForm(final, form)


def rewrite_verification(stored: StoredForm, verification: Verification) -> StoredForm:
    """The same form with another verification; the sidecar is replaced in one step.

    Raises CannotKeep, also where another build has put another form there meanwhile, and BadForm.
    """
    form = stored.form.model_copy(update={"verification": verification})
    if _parse(stored.folder / SIDECAR).files != form.files:
        raise CannotKeep(f"the verdict cannot be kept: {stored.folder} was built again meanwhile")
    temporary = stored.folder / f".{SIDECAR}.{secrets.token_hex(4)}"
    try:
        temporary.write_text(form.model_dump_json(indent=2) + "\n", encoding="utf-8")
        temporary.replace(stored.folder / SIDECAR)
    except OSError as error:
        raise CannotKeep(f"the verdict cannot be kept in {stored.folder}: {error.strerror or error}") from None
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
    return StoredForm(stored.folder, form)


def _sweep(root: Path) -> None:
    """Remove what builds that were killed left behind."""
    for left in root.glob(".*"):
        with suppress(OSError):  # another build may be removing it, or its own, just now
            if time.time() - left.stat().st_mtime > _ABANDONED_SECONDS:
                shutil.rmtree(left, ignore_errors=True)


def _replace(final: Path, made: Path) -> None:
    """Rename a folder to where another may be, and may come to be meanwhile."""
    for _ in range(_TRIES):
        try:
            made.rename(final)
        except OSError as error:
            if error.errno not in {errno.ENOTEMPTY, errno.EEXIST}:
                raise
        else:
            return
        aside = final.parents[1] / f".{secrets.token_hex(4)}"
        with suppress(FileNotFoundError):  # another build has put it aside
            final.rename(aside)
        shutil.rmtree(aside, ignore_errors=True)
    raise OSError(errno.EBUSY, "other builds keep replacing the same form")


def file_sha256(path: Path) -> str:
    """SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def processor() -> str:
    """The instructions of this host's processor that matter here, joined; the machine's kind where it says none."""
    try:
        flags = set(re.findall(r"^(?:flags|Features)\s*:(.*)$", _CPUINFO.read_text(), re.MULTILINE)[0].split())
    except (OSError, IndexError):
        flags = set()
    found = [name for name in _INSTRUCTIONS if name in flags]
    return "_".join(found).replace("avx512_", "") if found else platform.machine()


def _read(sidecar: Path, bundle: Bundle) -> Form:
    form = _parse(sidecar)
    if form.bundle != bundle.bundle_id or form.network_sha256 != bundle.manifest.files[NETWORK]:
        raise BadForm(f"{sidecar.parent} was compiled from {form.bundle}, not from {bundle.bundle_id}: build it again")
    return form


def _parse(sidecar: Path) -> Form:
    try:
        found = sidecar.lstat()
        # A pipe would keep its reader for ever.
        if not stat.S_ISREG(found.st_mode) or found.st_size > _MAX_SIDECAR_BYTES:
            raise BadForm(f"{sidecar} is no sidecar of ours")
        return Form.model_validate_json(sidecar.read_bytes())
    except OSError as error:
        raise BadForm(f"{sidecar} cannot be read: {error.strerror}") from None
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]).encode("unicode_escape").decode()
        raise BadForm(f"{sidecar} is no sidecar that this version knows: {where}: {first['msg']}") from None


def _plain(part: str) -> str:
    return re.sub(r"[^A-Za-z0-9._]+", "_", part)
