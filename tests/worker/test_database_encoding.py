"""A database of another encoding than UTF-8: refused in one sentence, by every command that opens it."""

import json

import pytest
from sqlalchemy import create_engine, text

from smear.store import Store, WrongEncoding, migrate, schema_problem


@pytest.fixture(params=["LATIN1", "SQL_ASCII"])
def other_encoding(request, postgres):
    """(encoding, URL) of an empty database of another encoding."""
    server = create_engine(postgres.format("postgres"), isolation_level="AUTOCOMMIT")
    with server.connect() as connection:
        how = f"ENCODING '{request.param}' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0"
        connection.execute(text(f"CREATE DATABASE other_encoding {how}"))
    yield request.param, postgres.format("other_encoding")
    with server.connect() as connection:
        connection.execute(text("DROP DATABASE other_encoding WITH (FORCE)"))
    server.dispose()


def sentence(encoding):
    return f"the database's encoding is not UTF8 but {encoding}: make one with `createdb --encoding=UTF8"


def test_the_migration_refuses_it_and_writes_nothing(other_encoding, worker):
    encoding, url = other_encoding
    done = worker("migrate", WNET_DATABASE_URL=url)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"worker: {sentence(encoding)}")
    assert len(done.stderr.splitlines()) == 1
    engine = create_engine(url + "&client_encoding=utf8")
    with engine.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'")).scalar() == 0
    engine.dispose()


def test_the_doctor_names_it(other_encoding, worker, json_lines):
    encoding, url = other_encoding
    done = worker("doctor", "--json", WNET_DATABASE_URL=url)
    (found,) = [one for one in json_lines(done.stdout) if one["name"] == "database"]
    assert done.returncode == 1
    assert found["verdict"] == "bad"
    assert found["found"].startswith(sentence(encoding))


@pytest.mark.parametrize("command", [("results",), ("retry", "--failed"), ("rescan",)])
def test_every_command_refuses_it(other_encoding, worker, command):
    encoding, url = other_encoding
    done = worker(*command, WNET_DATABASE_URL=url)
    assert done.returncode == 2
    assert done.stderr.startswith(f"worker: {sentence(encoding)}")


def test_status_says_it(other_encoding, worker):
    encoding, url = other_encoding
    done = worker("status", "--json", WNET_DATABASE_URL=url)
    assert done.returncode == 1
    assert any(said.startswith(sentence(encoding)) for said in json.loads(done.stdout)["needs_attention"])


def test_a_service_that_starts_waits_and_says_why(other_encoding, tmp_path):
    encoding, url = other_encoding
    store = Store(url)
    assert str(schema_problem(store)).startswith(sentence(encoding))
    with pytest.raises(WrongEncoding):
        migrate(store, tmp_path / "lock")
    store.close()


def test_utf8_is_accepted(empty_postgres, worker):
    assert worker("migrate", WNET_DATABASE_URL=empty_postgres).returncode == 0
