"""The database: opened once by an entry point and passed down. SQLite in WAL by default, any SQLAlchemy URL else."""

import fcntl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url, text
from sqlalchemy.exc import ArgumentError, DBAPIError, IntegrityError, NoSuchModuleError
from sqlalchemy.exc import TimeoutError as NoConnectionFree
from sqlmodel import Session

from smear.database_errors import kind_of, spends_connection, why_rejected
from smear.installation import NO_DATABASE_AT
from smear.plain import PlainError
from smear.sqlite_file import notice_replacing


if TYPE_CHECKING:
    from alembic.config import Config

#: A writer waits this long for another before it gives up; SQLite only.
BUSY_TIMEOUT_MS: Final = 30_000
#: What PostgreSQL is told on every connection. A host that loses its power in the middle of a transaction leaves locks
#: behind, which the server lets go of once it finds the line dead; nobody waits for a lock longer than on SQLite.
_SESSION: Final = (
    f"lock_timeout={BUSY_TIMEOUT_MS}",
    "tcp_keepalives_idle=10",
    "tcp_keepalives_interval=5",
    "tcp_keepalives_count=3",
)
#: A transaction that writes, and whose process is stopped in the middle, is ended by the server after this long. One
#: that only reads may stand still for as long as somebody takes to look at its pages.
_WRITING: Final = "SET LOCAL idle_in_transaction_session_timeout=60000"
#: A process needs one connection to work and one for the heartbeat; a server's connections are counted.
_POOL: Final = {"pool_size": 2, "max_overflow": 4, "pool_timeout": 30}
#: Any number that other programs on the same PostgreSQL server are unlikely to lock.
_MIGRATION_LOCK: Final = 0x574E4554
NO_DATABASE: Final = "there is no database yet: run `worker migrate` (or `make run`)"

NOT_UTF8: Final = "the database's encoding is not UTF8"


class StoreUnavailable(PlainError):
    """The database does not answer, or not now; trying again later helps."""


class WrongEncoding(PlainError):
    """The database keeps text in another encoding than UTF-8; its text says which, and the cure."""


class RowRejected(PlainError):
    """The database cannot hold a value: too long, or of characters it has not. Trying again does not help."""


class Store:
    """Sessions on one database. `read` takes no write lock; `write` takes it at once, so that nothing deadlocks."""

    def __init__(self, url: str | URL) -> None:
        self._when_replaced: Callable[[], object] | None = None
        try:
            parsed = _known_driver(make_url(url))
            on_server = parsed.get_backend_name() == "postgresql"
            more: dict[str, Any] = _POOL | {"isolation_level": "READ COMMITTED"} if on_server else {}
            if on_server:
                # Without an encoding of its own the driver hands bytes over where the server has none (SQL_ASCII).
                wanted = {"connect_timeout": 10, "client_encoding": "utf8"}
                more["connect_args"] = {name: value for name, value in wanted.items() if name not in parsed.query}
            # Errors reach logs: they name no values, among them the names of slides.
            self.engine: Engine = create_engine(parsed, pool_pre_ping=True, hide_parameters=True, **more)
        except (ArgumentError, NoSuchModuleError, ModuleNotFoundError) as error:
            raise StoreUnavailable(f"WNET_DATABASE_URL cannot be used: {error}") from None
        except ValueError:
            # Its words would quote what stands there: part of a password, where that holds an @.
            reason = "its port or an option is no number (in a password @ : / are written %40 %3A %2F)"
            raise StoreUnavailable(f"WNET_DATABASE_URL cannot be used: {reason}") from None
        if on_server:
            _set_up_postgresql(self.engine)
        else:
            _set_up_sqlite(self.engine)
            if self.file is not None:
                notice_replacing(self.engine, self.file.absolute(), StoreUnavailable, self._was_replaced)

    @property
    def file(self) -> Path | None:
        """The file of an SQLite database; None for a server's, or one in memory."""
        if self.engine.dialect.name != "sqlite" or self.engine.url.database in {None, "", ":memory:"}:
            return None
        return Path(str(self.engine.url.database))

    @contextmanager
    def read(self) -> Iterator[Session]:
        """A session for reading; raises StoreUnavailable, RowRejected."""
        with self._session(write=False) as session:
            yield session

    @contextmanager
    def snapshot(self) -> Iterator[Session]:
        """A session for reading that sees one moment, whatever others write meanwhile; raises StoreUnavailable."""
        with self._session(write=False, one_moment=True) as session:
            yield session

    @contextmanager
    def write(self) -> Iterator[Session]:
        """One transaction: committed at the end, rolled back on any exception; raises StoreUnavailable, RowRejected.

        A constraint that does not hold is an IntegrityError: another process was faster.
        """
        with self._session(write=True) as session:
            yield session
            session.commit()

    @contextmanager
    def _session(self, *, write: bool, one_moment: bool = False) -> Iterator[Session]:
        options: dict[str, Any] = {"wnet_write": write}
        if one_moment and self.engine.dialect.name == "postgresql":
            # READ COMMITTED shows each statement another moment; a transaction of SQLite shows one anyway.
            options["isolation_level"] = "REPEATABLE READ"
        try:
            with (
                self.engine.connect().execution_options(**options) as connection,
                Session(bind=connection, expire_on_commit=False) as session,
            ):
                yield session
        except IntegrityError:
            raise
        except DBAPIError as error:
            # Without a statement it is the connection that could not be made: an option of the URL is unknown.
            no_option = error.statement is None and type(error).__name__ == "ProgrammingError"
            kind = kind_of(error.orig)
            if spends_connection(error.orig):
                # Old connections still answer, and will not do again: behind a proxy a failover cuts none of them.
                self.engine.dispose()
            if error.connection_invalidated or kind == "away" or no_option:
                raise StoreUnavailable(str(error.orig)) from error
            if kind == "rejected":
                raise RowRejected(f"the database cannot keep it: {why_rejected(error.orig)}") from error
            raise
        except (UnicodeEncodeError, OverflowError) as error:
            # The driver's, before anything was sent, and therefore not wrapped by SQLAlchemy.
            raise RowRejected(f"the database cannot keep it: {why_rejected(error)}") from error
        except NoConnectionFree as error:
            raise StoreUnavailable("every connection to the database is in use") from error

    def when_replaced(self, act: Callable[[], object]) -> None:
        """Call `act` once another database lies in this one's place, for programs that keep row numbers in memory.

        What they are about to read or write then ends in StoreUnavailable. Without it the new one is gone on with.
        """
        self._when_replaced = act

    def _was_replaced(self) -> None:
        if self._when_replaced is not None:
            self._when_replaced()
            raise StoreUnavailable("another database lies in the place of the one that was opened")

    def close(self) -> None:
        """Give the connections back."""
        self.engine.dispose()


def _known_driver(url: URL) -> URL:
    """PostgreSQL through psycopg, whichever way it was written; raises ArgumentError for what is never tested."""
    if url.drivername in {"postgres", "postgresql"}:
        return url.set(drivername="postgresql+psycopg")
    if url.drivername not in {"sqlite", "sqlite+pysqlite", "postgresql+psycopg"}:
        raise ArgumentError("the database is SQLite or PostgreSQL: sqlite:///FILE or postgresql+psycopg://HOST/NAME")
    return url


def _set_up_postgresql(engine: Engine) -> None:
    @event.listens_for(engine, "connect")
    def _limits(connection: Any, _record: object) -> None:
        # Said here and not in the connection's options, which some connection poolers refuse.
        for setting in _SESSION:
            connection.execute(f"SET {setting}")
        connection.commit()

    @event.listens_for(engine, "begin")
    def _begin(connection: Any) -> None:
        if connection.get_execution_options().get("wnet_write"):
            connection.exec_driver_sql(_WRITING)


def _set_up_sqlite(engine: Engine) -> None:
    @event.listens_for(engine, "connect")
    def _pragmas(connection: Any, _record: object) -> None:
        connection.isolation_level = None  # the driver starts no transaction of its own: _begin below does
        for pragma in (
            f"busy_timeout={BUSY_TIMEOUT_MS}",
            "journal_mode=WAL",
            "synchronous=FULL",  # a signed slide survives a power cut
            "foreign_keys=ON",
        ):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def _begin(connection: Any) -> None:
        # A reader that turned writer half-way would find the lock taken and could not wait for it.
        write = connection.get_execution_options().get("wnet_write")
        connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")


# Alembic is imported where it is used: it takes a quarter of a second, and most commands do without it.


def _alembic(store: Store) -> "Config":
    from alembic.config import Config  # noqa: PLC0415 - see above

    config = Config()
    # In Alembic's configuration a % begins a variable.
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    config.attributes["store"] = store
    return config


def schema_problem(store: Store) -> str | None:
    """None where the schema is at head; else what is wrong with it, in words. Raises StoreUnavailable."""
    try:
        if (file := store.file) is not None and not file.exists():
            # Connecting would make an empty one.
            return f"{NO_DATABASE_AT} {file}: run `worker migrate` (or `make run`), or set WNET_VAR to its folder"
    except OSError as error:
        raise StoreUnavailable(f"{file}: {error.strerror}") from None
    from alembic.runtime.migration import MigrationContext  # noqa: PLC0415 - see above
    from alembic.script import ScriptDirectory  # noqa: PLC0415 - see above

    head = ScriptDirectory.from_config(_alembic(store)).get_current_head()
    with store.read() as session:
        if (problem := _encoding_problem(session.connection())) is not None:
            return problem
        found = MigrationContext.configure(session.connection()).get_current_revision()
    if found == head:
        return None
    if found is None:
        return NO_DATABASE
    return f"the database's schema is {found}, this version needs {head}: run `worker migrate` with the newest version"


def _encoding_problem(connection: Connection) -> str | None:
    """None for UTF-8; else what is wrong and the cure: one name that it cannot hold would stop its whole source."""
    if connection.dialect.name != "postgresql":
        return None
    encoding = connection.execute(text("SHOW server_encoding")).scalar_one()
    if encoding == "UTF8":
        return None
    cure = "make one with `createdb --encoding=UTF8 --template=template0` and name it in WNET_DATABASE_URL"
    return f"{NOT_UTF8} but {encoding}: {cure}"


def migrate(store: Store, lock_file: Path) -> None:
    """Bring the schema to head, one process at a time; raises StoreUnavailable, WrongEncoding."""
    from alembic import command  # noqa: PLC0415 - see above

    if store.file is not None:
        store.file.parent.mkdir(parents=True, exist_ok=True)
    try:
        with store.engine.connect() as connection:
            if (problem := _encoding_problem(connection)) is not None:
                raise WrongEncoding(problem)
        with _migration_lock(store, lock_file):
            command.upgrade(_alembic(store), "head")
    except DBAPIError as error:
        raise StoreUnavailable(str(error.orig)) from error


@contextmanager
def _migration_lock(store: Store, lock_file: Path) -> Iterator[None]:
    if store.engine.dialect.name == "postgresql":
        with store.engine.connect() as connection:
            # Whoever comes second waits for as long as the first one takes.
            connection.execute(text("SET LOCAL lock_timeout=0"))
            connection.execute(text("SELECT pg_advisory_lock(:key)"), {"key": _MIGRATION_LOCK})
            try:
                yield
            finally:
                connection.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": _MIGRATION_LOCK})
                connection.commit()
        return
    lock_file.parent.mkdir(parents=True, exist_ok=True)
    with lock_file.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def wait_for_schema(store: Store, stop: threading.Event, poll_seconds: float = 0.5) -> Iterator[str]:
    """Yield what is being waited for, each time it is looked at, until the schema is at head or `stop` is set."""
    while not stop.is_set():
        try:
            problem = schema_problem(store)
        except StoreUnavailable as error:
            problem = str(error)
        if problem is None:
            return
        yield problem
        stop.wait(poll_seconds)
