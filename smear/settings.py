"""Every setting of the project: WNET_ variables or a `.env` file, validated once at start, passed down from there."""

import contextlib
import hashlib
import os
import re
import stat
import sys
import tempfile
from pathlib import Path
from typing import Any, Final, Literal
from urllib.parse import quote, unquote, urlsplit

from pydantic import Field, PrivateAttr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict, SettingsError

from smear import installation
from smear.broker_tls import certificates, tls_options
from smear.listing import compiled
from smear.local_time import zone
from smear.networks import networks
from smear.plain import PlainError
from smear.sources import Source, absolute, by_source, geometry_name, layout_name, parse_sources, priority_of


__all__ = ["MAX_DAYS", "MAX_SOCKET_PATH_BYTES", "BadSettings", "Settings", "Source", "load_settings", "private_folder"]

#: sun_path of a Unix socket holds 108 bytes with its closing zero.
MAX_SOCKET_PATH_BYTES: Final = 107
#: A hundred years: further back there is no date to count from.
MAX_DAYS: Final = 36_500


class BadSettings(PlainError):
    """Settings that cannot be used; its text names the variable and what is wrong with it."""


class Settings(BaseSettings):
    """All settings, frozen. Units stand in the names."""

    model_config = SettingsConfigDict(
        env_prefix="WNET_",
        env_file=".env",
        env_file_encoding="utf-8",
        env_ignore_empty=True,
        frozen=True,
        extra="ignore",
    )

    var: Path = Path("var")
    drop: str = ""
    #: For every source, or `name=value,name=value` for some.
    layout: str = "slides"
    geometry: str = "di60"
    priority: str = "0"
    observer: Literal["auto", "native", "polling", "none"] = "auto"
    file_settle_seconds: float = Field(default=2.0, ge=0, allow_inf_nan=False)
    settle_seconds: float = Field(default=10.0, ge=0, allow_inf_nan=False)
    scan_seconds: float = Field(default=60.0, gt=0, allow_inf_nan=False)
    broker_url: str = ""
    #: The authority that signed the certificate of a `rediss://` server, a PEM file; without it the system's.
    broker_ca: Path | None = None
    database_url: str = ""
    models: Path | None = None
    #: Where picture files are kept by their content, and for how long; 0 keeps none. Labelled ones stay.
    pictures: Path | None = None
    keep_pictures_days: float = Field(default=90.0, ge=0, allow_inf_nan=False)
    engine: Literal["auto", "tensorrt", "openvino", "onnx"] = "auto"
    #: What results are computed in: the reference precision, so that every host gives the same answer, or another on
    #: purpose. `auto` is the fastest form that was verified on this host.
    precision: Literal["fp32", "bf16", "int8", "auto"] = "fp32"
    engine_threads: int = Field(default=0, ge=0, le=1024, description="0: one a core")
    #: Whether `make run` compiles, in the background, the forms that WNET_PRECISION needs: none for fp32.
    compile: bool = True

    #: A claim on a slide that has shown no heartbeat for this long is taken back (docs/decisions.md).
    lease_seconds: float = Field(default=15.0, gt=0, le=86_400)
    #: A worker that gets no further with one slide for this long ends itself; the supervisor starts another.
    stall_seconds: float = Field(default=120.0, gt=0, allow_inf_nan=False)
    #: How often a worker may die over a slide, or find its share away, before the slide is given up.
    max_attempts: int = Field(default=10, ge=1)
    #: Below this much free room in WNET_VAR, the broker's folder or the database's no slide is claimed.
    disk_reserve_mb: int = Field(default=500, ge=0)
    #: Messages waiting in the broker at any time; the database holds the rest of the backlog.
    queue_window: int = Field(default=256, ge=1, le=1_000_000)

    #: Finished slides younger than this are looked at file by file every hour.
    reopen_days: float = Field(default=30.0, ge=0, le=MAX_DAYS)

    #: Below this many classified cells the percentages are withheld, below the next they are marked "low count"
    #: (CLSI H20-A2 counts 100 cells routinely).
    min_cells: int = Field(default=50, ge=1)
    low_count_cells: int = Field(default=100, ge=1)
    #: Slides whose name matches are body fluid or quality control, not blood: listed, never given a differential.
    not_blood: str = r"^(BFS|QC)"
    #: A cell whose most probable type is less probable than this is counted under `needs_review`.
    review_below: float = Field(default=0.9, ge=0, le=1)
    #: A JSON file with the laboratory's reference intervals; without it those for adults (smear/intervals.py).
    intervals: Path | None = None

    #: The review page: where it listens (the next free port is taken), and the names it may be called by beside
    #: localhost, separated by commas.
    review_host: str = "127.0.0.1"
    review_port: int = Field(default=8321, ge=0, le=65535)
    review_names: str = ""
    #: The addresses or networks of proxies in front of the page, separated by commas. Of these alone it is believed for
    #: whom they ask (`X-Forwarded-For`) and whether over TLS (`X-Forwarded-Proto`).
    review_proxy: str = ""
    #: A session ends after so long without a request, and after twelve hours at the latest.
    session_minutes: float = Field(default=60.0, gt=0, le=1_000_000)
    #: Who signs gives the password again where it was last given longer ago than this; 0 asks each time.
    sign_password_minutes: float = Field(default=15.0, ge=0, le=1_000_000)
    #: The IANA name of the time zone in which people read and type times; empty: the host's own.
    timezone: str = ""

    #: Local time at which the nightly fine-tune begins, or `off`.
    nightly_at: str = "02:00"
    #: A night needs so many new signed labels, takes at most so many a type of all there are, and trains for so long.
    nightly_min_labels: int = Field(default=50, ge=1)
    nightly_cells_per_type: int = Field(default=400, ge=1)
    nightly_minutes: float = Field(default=12.0, gt=0, allow_inf_nan=False)
    #: So many challengers that nobody put into use are kept; older ones go, their scorecards stay.
    nightly_keep: int = Field(default=14, ge=1)
    #: What it trains on: `auto` takes a CUDA device where torch sees one.
    nightly_device: Literal["auto", "cpu", "cuda"] = "auto"
    #: A data folder that is replayed instead of the shipped core: the whole base set, where a site has it.
    base_data: Path | None = None
    #: `auto` puts a challenger that passed its gate into use without a person: for research sites.
    promote: Literal["manual", "auto"] = "manual"

    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Literal["logfmt", "json"] = "logfmt"

    _from_record: bool = PrivateAttr(default=False)

    @field_validator("var", "models", "pictures", "intervals", "base_data", "broker_ca")
    @classmethod
    def _absolute(cls, value: Path | None) -> Path | None:
        return value if value is None else absolute(value)

    @field_validator("var")
    @classmethod
    def _without_question(cls, value: Path) -> Path:
        # The database's URL would end there, and a file of another name be taken for it.
        if "?" in str(value):
            raise ValueError("a folder without a question mark in its name")
        return value

    @field_validator("layout")
    @classmethod
    def _known_layout(cls, value: str) -> str:
        by_source(value, layout_name)
        return value.strip()

    @field_validator("geometry")
    @classmethod
    def _known_geometry(cls, value: str) -> str:
        by_source(value, geometry_name)
        return value.strip()

    @field_validator("priority")
    @classmethod
    def _whole_number(cls, value: str) -> str:
        by_source(value, priority_of)
        return value.strip()

    @field_validator("broker_url")
    @classmethod
    def _redis(cls, value: str) -> str:
        parts = urlsplit(value)
        if value and parts.scheme not in {"redis", "rediss", "redis+socket"}:
            raise ValueError(
                "the broker is a Redis or Valkey server: redis://host:port/0, rediss:// or redis+socket:///path"
            )
        if value and not (parts.hostname if parts.scheme != "redis+socket" else parts.path.strip("/")):
            raise ValueError("it names no server")
        if parts.scheme != "redis+socket" and not re.fullmatch(r"/?\d*", parts.path):
            raise ValueError("what follows the last slash is the number of the server's database")
        try:
            _ = parts.port
        except ValueError:
            # Python's words would quote what stands there: part of a password, where that holds a # or a ?.
            raise ValueError("its port is no number (in a password # / ? @ are written %23 %2F %3F %40)") from None
        tls_options(value, None)
        return value

    @field_validator("timezone")
    @classmethod
    def _known_timezone(cls, value: str) -> str:
        if value:
            zone(value)
        return value

    @field_validator("broker_ca")
    @classmethod
    def _certificates(cls, value: Path | None) -> Path | None:
        return value if value is None else certificates(value)

    @field_validator("review_proxy")
    @classmethod
    def _addresses(cls, value: str) -> str:
        networks(value)
        return value.strip()

    @field_validator("nightly_at")
    @classmethod
    def _time_of_day(cls, value: str) -> str:
        if value != "off" and not re.fullmatch(r"([01]\d|2[0-3]):[0-5]\d", value):
            raise ValueError("a local time such as 02:00, or off")
        return value

    @field_validator("not_blood")
    @classmethod
    def _regular_expression(cls, value: str) -> str:
        compiled(value)
        return value

    @model_validator(mode="after")
    def _drop_names_sources(self) -> "Settings":
        _ = self.sources
        return self

    @property
    def from_record(self) -> bool:
        """Whether `var` was found in the record of installations (smear/installation.py)."""
        return self._from_record

    @property
    def sources(self) -> tuple[Source, ...]:
        """The named roots that WNET_DROP lists."""
        return parse_sources(self.drop, self.var / "drop", self.layout, self.geometry, self.priority)

    @property
    def proxies(self) -> tuple[str, ...]:
        """The networks of WNET_REVIEW_PROXY."""
        return networks(self.review_proxy)

    @property
    def layout_of_paths(self) -> str:
        """The layout of slides that are given by their path: what holds for all sources, else the default."""
        return by_source(self.layout, layout_name)[0] or "slides"

    @property
    def geometry_of_paths(self) -> str:
        """The geometry of slides that are given by their path: what holds for all sources, else the default."""
        return by_source(self.geometry, geometry_name)[0] or "di60"

    @property
    def models_folder(self) -> Path:
        """Where bundles live, shared between hosts."""
        return self.models or self.var / "models"

    @property
    def pictures_folder(self) -> Path:
        """Where picture files are kept by their content; may be shared between hosts."""
        return self.pictures or self.var / "pictures"

    @property
    def engines_folder(self) -> Path:
        """Where compiled forms of bundles lie: of this host alone, so never beside the bundles."""
        return self.var / "engines"

    @property
    def nightly_folder(self) -> Path:
        """Where nights keep what their stages hand on, and scorecards."""
        return self.var / "nightly"

    @property
    def database(self) -> str:
        """The SQLAlchemy URL: WNET_DATABASE_URL, else SQLite under WNET_VAR."""
        return self.database_url or f"sqlite:///{self.var / 'wnet.sqlite'}".replace("%", "%25")

    @property
    def state_folders(self) -> tuple[Path, ...]:
        """The folders on this machine that grow with the work; they may lie on different disks."""
        folders = [self.var, *([self.var / "broker"] if self.embedded_broker else [])]
        if self.database_url.startswith("sqlite:///"):
            folders.append(
                Path(unquote(self.database_url.removeprefix("sqlite:///").partition("?")[0])).absolute().parent
            )
        return tuple(folders)

    @property
    def embedded_broker(self) -> bool:
        """Whether this machine runs its own broker."""
        return not self.broker_url

    @property
    def socket_folder(self) -> Path:
        """A short folder for Unix sockets: in WNET_VAR where its path leaves room, else in the temporary folder."""
        inside = self.var / "run"
        if len(os.fsencode(inside / "supervisor.sock")) + 12 <= MAX_SOCKET_PATH_BYTES:
            return inside
        digest = hashlib.sha256(os.fsencode(self.var)).hexdigest()[:12]
        return Path(tempfile.gettempdir()) / f"wnet-{os.getuid()}-{digest}"

    @property
    def broker_socket(self) -> Path:
        """Where the embedded broker listens."""
        return self.socket_folder / "broker.sock"

    @property
    def broker(self) -> str:
        """The URL that Celery connects to."""
        return self.broker_url or f"redis+socket://{quote(str(self.broker_socket))}"


def load_settings(*, recorded: bool = True, **given: Any) -> Settings:
    """Read and validate the settings; raises BadSettings with one sentence a wrong variable.

    Where nothing names WNET_VAR and this folder has no state, the recorded installation counts, unless `recorded` is
    False: one line on standard error says so.

    Files named like variables are read from the folder that CREDENTIALS_DIRECTORY names, as systemd hands credentials
    to a unit; variables and `.env` count more.
    """
    secrets = os.environ.get("CREDENTIALS_DIRECTORY") or None
    try:
        if secrets and not os.path.isdir(secrets):  # noqa: PTH112 - False too where we may not look
            raise BadSettings(f"CREDENTIALS_DIRECTORY: {secrets} is not a folder that can be read")
        settings = Settings(**{"_secrets_dir": secrets, **given})
        found = installation.elsewhere(settings) if recorded else None
        if found is None:
            return settings
        settings = Settings(**{"_secrets_dir": secrets, **installation.settings_of(found), **given})
        settings._from_record = True  # noqa: SLF001 - no setting, and set here alone
        # A person in another folder has to know.
        print(f"using the state in {settings.var}, which {installation.record_file()} names", file=sys.stderr)  # noqa: T201
        return settings  # noqa: TRY300 - as the other one above
    except ValidationError as error:
        raise BadSettings("; ".join(_sentence(e["loc"], e["msg"]) for e in error.errors())) from None
    except UnicodeDecodeError as error:
        raise BadSettings(f"the file .env is not UTF-8 text: {error.reason} at byte {error.start}") from None
    except SettingsError as error:
        cause = error.__cause__
        reason = cause.strerror if isinstance(cause, OSError) else "a file in it is not UTF-8 text"
        raise BadSettings(f"CREDENTIALS_DIRECTORY={secrets}: {reason}") from None


def _sentence(where: tuple[int | str, ...], message: str) -> str:
    said = message.removeprefix("Value error, ")
    if not where and said.startswith("WNET_"):
        return said
    # Only the check of the sources looks at the settings as a whole, and so names no field.
    variable = "_".join(str(part) for part in where).upper() or "DROP"
    return f"WNET_{variable}: {said}"


def private_folder(folder: Path) -> Path:
    """Make a folder that only we may enter; raises BadSettings where somebody else's stands in its place."""
    with contextlib.suppress(FileExistsError):
        folder.mkdir(mode=0o700, parents=True)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
        raise BadSettings(f"{folder} is not a folder of ours; remove it, or set WNET_VAR to a shorter path")
    folder.chmod(0o700)
    return folder
