"""A slide is found by its name however that was typed; slides that differ by the form of it alone are both found."""

import unicodedata

import pytest
from sqlalchemy import event, text

from worker import ledger
from worker.install import prepare
from worker.results import results


COMPOSED, DECOMPOSED = (unicodedata.normalize(form, "Probe-Ä7é") for form in ("NFC", "NFD"))
ANGSTROM = "Probe-\u212b"  # stored as it is, neither composed nor decomposed


@pytest.fixture
def slides(store, queue_slide):
    """Revisions by the name as the file system has it."""
    return {name: queue_slide(store, name) for name in (COMPOSED, DECOMPOSED, ANGSTROM, "Probe-A7e")}


@pytest.mark.parametrize("typed", [COMPOSED, DECOMPOSED])
def test_results_of_a_slide_are_found_in_either_form_and_of_both_slides(store, slides, typed):
    assert [one.slide.slide_id for one in results(store, slide_id=typed)] == [COMPOSED, DECOMPOSED]


def test_a_name_is_kept_as_the_file_system_has_it(store, slides):
    assert [one.slide.slide_id for one in results(store)] == [COMPOSED, DECOMPOSED, ANGSTROM, "Probe-A7e"]
    assert [one.slide.slide_id for one in results(store, slide_id=ANGSTROM)] == [ANGSTROM]


@pytest.mark.parametrize("typed", [COMPOSED, DECOMPOSED])
def test_failed_slides_are_queued_again_in_either_form(store, slides, typed):
    for revision in slides.values():
        ledger.fail(store, ledger.claim(store, revision, "w"), "why")
    assert ledger.retry(store, [typed]) == 2
    assert ledger.retry(store, [typed]) == 0


def test_the_command_takes_a_name_typed_twice_for_one(worker, settings, sqlite_store, queue_slide, json_lines):
    prepare(settings)
    ledger.fail(sqlite_store, ledger.claim(sqlite_store, queue_slide(sqlite_store, DECOMPOSED), "w"), "why")
    (told,) = json_lines(worker("results", "--json", "--slide", COMPOSED).stdout)
    assert told["slide_id"] == DECOMPOSED
    done = worker("retry", COMPOSED, DECOMPOSED, "--json")
    assert (done.returncode, json_lines(done.stdout)) == (0, [{"queued": 1}])
    done = worker("retry", COMPOSED)
    assert (done.returncode, done.stderr) == (1, f"no failed slide: {COMPOSED}\n")


def test_a_slide_among_very_many_is_found_by_the_index(store, queue_slide):
    queue_slide(store, COMPOSED)
    postgres = store.engine.dialect.name == "postgresql"
    identity = "md5(CAST(id AS text))" if postgres else "lower(hex(randomblob(16)))"
    with store.write() as session:
        connection, source = session.connection(), 1
        names = [{"s": source, "n": f"H{i:06}"} for i in range(20_000)]
        connection.execute(
            text("INSERT INTO slides (source_id, slide_id, folder, first_seen_at)"
                 " VALUES (:s, :n, :n, '2026-01-01 00:00:00+00:00')"), names,
        )  # fmt: skip
        connection.execute(
            text("INSERT INTO revisions (slide, number, identity, state, attempts, token, beat, arrived_at)"  # noqa: S608 - our own words
                 f" SELECT id, 1, {identity}, 'classified', 0, 0, 0, first_seen_at FROM slides"
                 " WHERE slide_id LIKE 'H%'")
        )  # fmt: skip
    with store.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("ANALYZE"))
    asked = []

    @event.listens_for(store.engine, "before_cursor_execute")
    def _keep(connection, cursor, statement, parameters, context, many):
        if "FROM sources JOIN slides" in statement:
            asked.append((statement, parameters))

    (found,) = results(store, slide_id=DECOMPOSED)
    assert found.slide.slide_id == COMPOSED
    ((statement, parameters),) = asked
    with store.engine.connect() as connection:
        explain = "EXPLAIN " if postgres else "EXPLAIN QUERY PLAN "
        plan = "\n".join(str(row) for row in connection.exec_driver_sql(explain + statement, parameters))
    assert "uq_slides_source_id_slide_id" in plan or "sqlite_autoindex_slides_1" in plan, plan
    assert "Seq Scan on slides" not in plan
    assert "Seq Scan on revisions" not in plan
    assert "SCAN slides" not in plan
    assert "SCAN revisions" not in plan
