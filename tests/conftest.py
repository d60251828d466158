"""What tests of every room share: clean settings, real databases, the shipped pictures and bundle."""

import logging
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
import structlog

from smear import shipped
from smear.settings import Settings
from smear.store import Store, migrate


def pytest_configure() -> None:
    """Started in the background by a shell, we would ignore Ctrl-C, and so would every process that tests start."""
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Tests marked `gpu` need an NVIDIA device: skipped without one, failed where REQUIRE_GPU=1 promises one."""
    if item.get_closest_marker("gpu") is None or Path("/dev/nvidiactl").exists():
        return
    if os.environ.get("REQUIRE_GPU") == "1":
        pytest.fail("REQUIRE_GPU=1, and there is no NVIDIA device here")
    pytest.skip("needs an NVIDIA GPU")


@pytest.fixture(scope="session", autouse=True)
def _no_record_of_this_user(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What tests install is not recorded in the home of whoever runs them, nor is what is recorded there found."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
        yield


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "xdg-state"))
    for name in list(os.environ):
        if name.startswith("WNET_") and name != "WNET_TEST_DATA":
            monkeypatch.delenv(name)


@pytest.fixture(autouse=True)
def _logging_as_it_was() -> Iterator[None]:
    """A command that a test calls sets logging up for a program; later tests would write to its closed stream."""
    root = logging.getLogger()
    handlers, level, configured, kept = root.handlers[:], root.level, structlog.is_configured(), structlog.get_config()
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.configure(**kept) if configured else structlog.reset_defaults()


@pytest.fixture
def make_settings(tmp_path: Path) -> Callable[..., Settings]:
    """make_settings(**values): settings with WNET_VAR in the test's own folder, no variable and no .env read."""

    def make(**values: Any) -> Settings:
        return Settings(_env_file=None, **({"var": tmp_path / "var"} | values))

    return make


@pytest.fixture(scope="session")
def samples() -> Path:
    return shipped.folder("samples")


@pytest.fixture(scope="session")
def sample_pictures(samples: Path) -> list[Path]:
    """Every shipped sample picture, in order: JPEGs of distinct content."""
    return sorted(samples.glob("*/*.jpg"))


@pytest.fixture(scope="session")
def larger_sets() -> Path:
    """The folder of larger data sets; WNET_TEST_DATA says where, else it lies beside the checkout."""
    folder = Path(os.environ.get("WNET_TEST_DATA") or Path(__file__).parents[2] / "shared" / "data")
    if not (folder / "pbc").is_dir():
        pytest.skip("needs the data set pbc: set WNET_TEST_DATA to the folder that holds it")
    return folder


@pytest.fixture
def make_slide(sample_pictures: list[Path]) -> Callable[..., Path]:
    """make_slide(root, slide_id, n, first=0): a slide's folder of n sample pictures, from the first-th on."""

    def make(root: Path, slide_id: str, n: int, first: int = 0) -> Path:
        folder = root / slide_id
        folder.mkdir(parents=True, exist_ok=True)
        for i, picture in enumerate(sample_pictures[first : first + n]):
            shutil.copyfile(picture, folder / f"cell_{first + i:03}.jpg")
        return folder

    return make


# --- databases ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def migrated_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty database at head, to be copied."""
    folder = tmp_path_factory.mktemp("migrated")
    store = Store(f"sqlite:///{folder / 'wnet.sqlite'}")
    migrate(store, folder / "lock")
    store.close()
    return folder / "wnet.sqlite"


@contextmanager
def _postgres_server(
    port: int | None = None, password: str | None = None, certificate: tuple[Path, Path] | None = None
) -> Iterator[Path]:
    """A PostgreSQL server of our own in a folder, with its socket there; with `port` on loopback too, there with TLS
    where a certificate and its key are given.
    """
    pytest.importorskip("psycopg", reason="needs the package psycopg")
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    initdb = str(found[-1]) if found else shutil.which("initdb")
    if initdb is None:
        pytest.skip("needs PostgreSQL's own programs: apt-get install postgresql")
    who: dict[str, Any] = {}
    # Not the test's own folder: its parents are closed to the unprivileged user that the server insists on.
    folder = Path(tempfile.mkdtemp(prefix="wnet-pg-"))
    (folder / "password").write_text(password or "none", encoding="utf-8")
    if os.getuid() == 0:
        names = {entry.pw_name: entry for entry in pwd.getpwall()}
        user = names.get("postgres") or names["nobody"]
        who = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
        for path in (folder, folder / "password"):
            os.chown(path, user.pw_uid, user.pw_gid)
    data, log = folder / "data", folder / "log"
    control = [str(Path(initdb).with_name("pg_ctl")), "-D", str(data), "-w", "-s"]
    auth = ["-A", "scram-sha-256", "--pwfile", str(folder / "password")] if password else ["-A", "trust"]
    try:
        make = [initdb, "-D", str(data), "-U", "wnet", *auth, "-E", "UTF8", "--locale=C", "--no-sync"]
        subprocess.run(make, check=True, capture_output=True, cwd=folder, **who)
        listen = "-c listen_addresses=" if port is None else f"-c listen_addresses=127.0.0.1 -c port={port}"
        if certificate is not None:
            listen += " -c ssl=on -c ssl_cert_file=certificate.pem -c ssl_key_file=key.pem"
            for source, name in zip(certificate, ("certificate.pem", "key.pem"), strict=True):
                shutil.copyfile(source, data / name)
                (data / name).chmod(0o600)
                if who:
                    os.chown(data / name, who["user"], who["group"])
        options = f"-k {folder} {listen} -c fsync=off -c shared_buffers=16MB -c max_connections=40"
        start = [*control, "-l", str(log), "-o", options, "start"]
        subprocess.run(start, check=True, cwd=folder, stdout=subprocess.DEVNULL, **who)
        try:
            yield folder
        finally:
            subprocess.run([*control, "-m", "immediate", "stop"], check=True, cwd=folder, **who)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """A PostgreSQL server of our own on a Unix socket; SQLAlchemy URL with {} for the database's name."""
    with _postgres_server() as folder:
        yield f"postgresql+psycopg://wnet@/{{}}?host={folder}"


@pytest.fixture
def restart_postgres(postgres: str) -> Callable[[], None]:
    """restart_postgres(): end every connection and transaction of that server, and start it again."""
    folder = Path(postgres.partition("host=")[2])
    control = max(Path("/usr/lib/postgresql").glob("*/bin/pg_ctl"))

    def restart() -> None:
        owner = (folder / "data").stat()
        who: dict[str, Any] = {}
        if os.getuid() == 0:
            who = {"user": owner.st_uid, "group": owner.st_gid, "extra_groups": []}
        command = [
            str(control),
            "-D",
            str(folder / "data"),
            "-l",
            str(folder / "log"),
            "-w",
            "-s",
            "-m",
            "fast",
            "restart",
        ]
        subprocess.run(command, check=True, cwd=folder, stdout=subprocess.DEVNULL, **who)

    return restart


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate for 127.0.0.1 that it signed itself, and its key."""
    openssl = shutil.which("openssl") or pytest.skip("needs the program openssl")
    folder = tmp_path_factory.mktemp("tls")
    made, key = folder / "certificate.pem", folder / "key.pem"
    command = [openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=server"]
    command += ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(made)]
    subprocess.run(command, check=True, capture_output=True)
    return made, key


@pytest.fixture
def postgres_with_tls(certificate: tuple[Path, Path]) -> Iterator[str]:
    """URL of the empty database `postgres` of a server on loopback that speaks TLS; options may be appended."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with _postgres_server(port, "pg-secret-4711", certificate):
        yield f"postgresql+psycopg://wnet:pg-secret-4711@127.0.0.1:{port}/postgres"


@pytest.fixture
def postgres_on_tcp() -> Iterator[str]:
    """URL of the empty database `postgres` of a server on loopback that asks for a password."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with _postgres_server(port, "pg-secret-4711"):
        yield f"postgresql+psycopg://wnet:pg-secret-4711@127.0.0.1:{port}/postgres"


def _sql(url: str, statement: str) -> None:
    from sqlalchemy import create_engine, text

    engine = create_engine(url.format("postgres"), isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(statement))
    engine.dispose()


@pytest.fixture(scope="session")
def migrated_postgres(postgres: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    _sql(postgres, "CREATE DATABASE migrated")
    store = Store(postgres.format("migrated"))
    migrate(store, tmp_path_factory.mktemp("lock") / "lock")
    store.close()
    return postgres


@pytest.fixture
def empty_postgres(postgres: str) -> Iterator[str]:
    """URL of a new, empty PostgreSQL database."""
    _sql(postgres, "CREATE DATABASE empty")
    yield postgres.format("empty")
    _sql(postgres, "DROP DATABASE empty WITH (FORCE)")


@pytest.fixture
def sqlite_store(tmp_path: Path, migrated_sqlite: Path) -> Iterator[Store]:
    """A migrated SQLite database where the settings of `make_settings` look for it."""
    file = tmp_path / "var" / "wnet.sqlite"
    file.parent.mkdir(exist_ok=True)
    shutil.copyfile(migrated_sqlite, file)
    store = Store(f"sqlite:///{file}")
    yield store
    store.close()


@pytest.fixture
def postgres_store(migrated_postgres: str) -> Iterator[Store]:
    _sql(migrated_postgres, "CREATE DATABASE one TEMPLATE migrated")
    store = Store(migrated_postgres.format("one"))
    yield store
    store.close()
    _sql(migrated_postgres, "DROP DATABASE one WITH (FORCE)")


@pytest.fixture(params=["sqlite", "postgresql"])
def store(request: pytest.FixtureRequest) -> Store:
    """A migrated database of each kind."""
    made: Store = request.getfixturevalue("sqlite_store" if request.param == "sqlite" else "postgres_store")
    return made


@pytest.fixture
def dump() -> Callable[[Store], dict[str, list[tuple[Any, ...]]]]:
    """dump(store): every row of every table, to be compared before and after; but no sign that a watcher lives."""
    from sqlmodel import SQLModel, select

    life = {"watched_by", "watch_token", "watch_beat", "scanned_at"}

    def read(store: Store) -> dict[str, list[tuple[Any, ...]]]:
        with store.read() as session:
            return {
                table.name: sorted(
                    (tuple(row) for row in session.execute(select(*(c for c in table.columns if c.name not in life)))),
                    key=repr,
                )
                for table in SQLModel.metadata.sorted_tables
            }

    return read


class Standby:
    """Turns a database read-only as a failover does: connections that are open stay so, and refuse writes for good."""

    def __init__(self, store: Store) -> None:
        from sqlalchemy import event

        self._store, self._only_reads = store, False
        self._server = store.engine.dialect.name == "postgresql"
        if not self._server:

            @event.listens_for(store.engine, "begin")
            def _query_only(connection: Any) -> None:
                connection.exec_driver_sql(f"PRAGMA query_only={'ON' if self._only_reads else 'OFF'}")

    def begin(self) -> None:
        from sqlalchemy import text

        self._only_reads = True
        if self._server:
            self._alter("SET default_transaction_read_only = on")
            with ExitStack() as stack:
                for _ in range(max(self._store.engine.pool.checkedin(), 1)):  # type: ignore[attr-defined]
                    connection = stack.enter_context(self._store.engine.connect())
                    connection.execute(text("SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY"))
                    connection.commit()

    def end(self) -> None:
        """New connections reach a server that writes; the old ones stay as they are."""
        self._only_reads = False
        if self._server:
            self._alter("RESET default_transaction_read_only")

    def _alter(self, what: str) -> None:
        name = self._store.engine.url.database
        server = self._store.engine.url.set(database="postgres").render_as_string(hide_password=False)
        _sql(server.replace("{", "{{").replace("}", "}}"), f"ALTER DATABASE {name} {what}")


@pytest.fixture
def standby(store: Store) -> Iterator[Standby]:
    """standby.begin() makes the database of `store` read-only, standby.end() makes it take writes again."""
    made = Standby(store)
    yield made
    made.end()
