"""`worker results` as a user meets it: filters, formats that exclude each other, names that a spreadsheet would run."""

import csv
from datetime import UTC, datetime, timedelta
from typing import get_args

import pytest

from smear.review_tables import SignatureRow, UserRow
from smear.tables import RevisionRow, RevisionState, SlideRow, key, utc_now
from worker.install import prepare
from worker.results_command import State


COUNTS = {"neutrophil": 60, "eosinophil": 0, "basophil": 0, "lymphocyte": 30, "monocyte": 10}
#: Midnight of 28 November 2026 in Berlin is 23:00 of the day before in UTC.
EVENING = datetime(2026, 11, 27, 23, 30, tzinfo=UTC)


@pytest.fixture
def archive(settings, sqlite_store, queue_slide):
    """S-1 signed in the first half hour of 28 November in Berlin; S-2 arrived two days before and waits."""
    prepare(settings)
    signed, waiting = queue_slide(sqlite_store, "S-1"), queue_slide(sqlite_store, "S-2")
    with sqlite_store.write() as session:
        user = UserRow(name="maria", full_name="Maria Lind", role="technologist", password_hash="-", must_change=False,  # noqa: S106 - opens nothing
                       active=True, created_at=utc_now())  # fmt: skip
        session.add(user)
        session.flush()
        result = {"counts": COUNTS, "percent": COUNTS, "ci95": None, "bundle": "b@1"}
        session.add(SignatureRow(revision=signed, user=key(user.id), role="technologist", meaning="signed", at=EVENING,
                                 result=result))  # fmt: skip
        session.get_one(RevisionRow, signed).state = "signed"
        session.get_one(RevisionRow, waiting).arrived_at = EVENING - timedelta(days=2)


@pytest.fixture
def named(worker, json_lines):
    """named(*options): the slides that are shown."""
    berlin = {"WNET_TIMEZONE": "Europe/Berlin"}
    return lambda *options: [
        told["slide_id"] for told in json_lines(worker("results", "--json", *options, **berlin).stdout)
    ]


def refused(done, *words):
    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (2, "", 1), done.stderr
    assert all(word in done.stderr for word in words), done.stderr


def test_days_are_those_of_the_laboratory(named, archive):
    assert named("--since", "2026-11-28") == ["S-1"]
    assert named("--since", "2026-11-28", "--until", "2026-11-28") == ["S-1"]
    assert named("--until", "2026-11-27") == ["S-2"]
    assert named("--since", "2026-11-28T00:31") == []
    assert named("--since", "2026-11-27T23:30Z") == ["S-1"]


def test_states_sources_and_a_limit_choose_too(named, archive):
    assert named("--state", "signed", "--state", "queued") == ["S-1", "S-2"]
    assert named("--state", "failed") == []
    assert named("--source", "default", "--limit", "1") == ["S-2"]
    assert named("--slide", "S-2", "--state", "signed") == []  # it is there, and not signed


def test_a_slide_that_filters_hide_is_not_called_unknown(worker, archive):
    done = worker("results", "--slide", "S-2", "--state", "signed")
    assert (done.returncode, done.stdout, done.stderr) == (0, "No such slides.\n", "")
    assert worker("results", "--slide", "S-9", "--state", "signed").returncode == 1


def test_the_states_to_choose_from_are_all_there_are():
    assert [state.value for state in State] == list(get_args(RevisionState))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--json", "--csv"], ["--json and --csv", "choose one"]),
        (["--since", "yesterday"], ["--since yesterday", "2026-11-28"]),
        (["--since", "2026-11-29", "--until", "2026-11-28"], ["--since 2026-11-29", "not before"]),
        (["--source", "none"], ["no source 'none'", "default"]),
    ],
)
def test_what_makes_no_sense_is_refused_in_one_sentence(worker, archive, options, words):
    refused(worker("results", *options), "worker: ", *words)


def test_the_table_shows_who_signed_and_when(worker, archive):
    shown = " ".join(worker("results", WNET_TIMEZONE="Europe/Berlin").stdout.split())
    assert "Notes" in shown
    assert "signed by" in shown
    assert "Maria" in shown
    assert "2026-11-28" in shown


def test_a_spreadsheet_gets_local_times_and_no_formula(worker, archive, sqlite_store):
    with sqlite_store.write() as session:
        session.get_one(SlideRow, 1).slide_id = "=1+1"
    rows = list(csv.DictReader(worker("results", "--csv", WNET_TIMEZONE="Europe/Berlin").stdout.splitlines()))
    assert [(row["slide_id"], row["signed_at"]) for row in rows] == [
        ("'=1+1", "2026-11-28T00:30:00+01:00"), ("S-2", ""),
    ]  # fmt: skip


def test_the_cells_of_a_batch_are_safe_in_a_spreadsheet_too(worker, drop, make_slide, tmp_path):
    folder = make_slide(drop, "-S-1", 1)
    next(folder.iterdir()).rename(folder / "=cell.jpg")
    worker("classify", drop, "--json", "--cells", tmp_path / "cells.csv")
    with (tmp_path / "cells.csv").open(newline="") as file:
        (row,) = csv.DictReader(file)
    assert (row["slide_id"], row["file"]) == ("'-S-1", "'=cell.jpg")
