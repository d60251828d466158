"""The command line as a user meets it: exit codes, what goes to standard output, one sentence and no traceback."""

import csv
import json
import os
import shutil

import pytest
from PIL import Image
from sqlalchemy import update

from smear.cells import CELL_TYPES
from smear.listing import slide_name
from smear.tables import SlideRow
from worker import ledger
from worker.install import prepare


KEYS = [
    "source", "slide_id", "revision", "state", "cells", "files", "expected_cells", "complete", "counts", "percent",
    "ci95", "reported_by", "signed_by", "signed_at", "countersigned_by", "countersigned_at", "amended", "amending",
    "model", "prior_adjusted", "prior_adjusted_ci95", "withheld", "needs_review", "flags", "problems", "bundle",
    "engine", "precision", "backend",
]  # fmt: skip


def refused(done, *words):
    """Exit code 2, one sentence on standard error, nothing on standard output."""
    assert done.returncode == 2, done.stderr
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert all(word in done.stderr for word in words)


@pytest.fixture
def queued(settings, sqlite_store, drop, make_slide, queue_slide):
    """A prepared installation with one slide that waits."""
    prepare(settings)
    make_slide(drop, "S-1", 4)
    return queue_slide(sqlite_store)


@pytest.fixture
def classified(queued, sqlite_store, make_work, fake_engine):
    make_work(sqlite_store, fake_engine).do(queued)
    return queued


# --- classify ------------------------------------------------------------------------------------------------------


@pytest.fixture
def ninety_and_ten(drop, sample_pictures):
    """Ninety good pictures and ten that are broken in ten ways."""
    folder = drop / "S-90"
    folder.mkdir()
    for n, picture in enumerate(sample_pictures[:90]):
        shutil.copyfile(picture, folder / f"good_{n:02}.jpg")
    whole = sample_pictures[90].read_bytes()
    (folder / "bad_empty.jpg").touch()
    (folder / "bad_half.jpg").write_bytes(whole[: len(whole) // 2])
    (folder / "bad_zero_tail.jpg").write_bytes(whole[: len(whole) // 2] + bytes(len(whole) // 2))
    (folder / "bad_zeros.bmp").write_bytes(bytes(5000))
    (folder / "bad_text.png").write_text("this is no picture")
    (folder / "bad_link.jpg").symlink_to("/etc/hostname")
    os.mkfifo(folder / "bad_pipe.jpg")
    with Image.open(sample_pictures[90]) as picture:
        picture.convert("CMYK").save(folder / "bad_cmyk.jpg")
        picture.convert("L").save(folder / "bad_grey.png")
        picture.resize((128, 128)).save(folder / "bad_size.png")
    return folder


def test_ninety_good_pictures_are_classified_and_ten_broken_named(worker_process, ninety_and_ten, json_lines, tmp_path):
    done = worker_process("classify", ninety_and_ten, "--json", "--cells", tmp_path / "cells.csv")
    assert done.returncode == 1, done.stderr
    (told,) = json_lines(done.stdout)
    assert list(told) == KEYS
    assert (told["slide_id"], told["source"], told["revision"], told["state"]) == ("S-90", "default", 1, "classified")
    cells = told["cells"]
    assert cells["total"] == 100
    assert cells["classified"] + cells["outside"] == 90
    assert (cells["misfit"], cells["unreadable"]) == (1, 9)
    assert sum(told["counts"].values()) == cells["classified"]
    assert {p["file"].startswith("bad_") and bool(p["reason"]) for p in told["problems"]} == {True}
    assert len(told["problems"]) == len({p["file"] for p in told["problems"]}) == 10
    assert list(told["percent"]) == list(told["ci95"]) == list(told["counts"]) == list(CELL_TYPES)
    assert sum(told["percent"].values()) == pytest.approx(100, abs=0.3)
    assert all(low <= told["percent"][t] <= high for t, (low, high) in told["ci95"].items())
    with (tmp_path / "cells.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 100
    assert sum(row["problem"] != "" for row in rows) == 10
    for row in rows:
        five = [row[f"p_{cell_type}"] for cell_type in CELL_TYPES]
        if row["state"] in {"classified", "outside"}:
            assert sum(map(float, five)) == pytest.approx(1, abs=1e-5)
            assert row["type"] == CELL_TYPES[max(range(5), key=lambda i: float(five[i]))]
            assert len(row["sha256"]) == 64
        else:
            assert five == [""] * 5


def test_the_shipped_samples_agree_with_their_truth(worker, samples, tmp_path, json_lines):
    truth = json.loads((samples / "truth.json").read_text())
    done = worker("classify", samples, "--json", "--cells", tmp_path / "cells.csv")
    assert done.returncode == 0, done.stderr
    told = {one["slide_id"]: one for one in json_lines(done.stdout)}
    assert set(told) == set(truth)
    assert all(one["problems"] == [] and one["state"] == "classified" for one in told.values())
    with (tmp_path / "cells.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == sum(len(slide["files"]) for slide in truth.values())
    right = sum(truth[row["slide_id"]]["files"][row["file"]] == row["type"] for row in rows)
    assert right / len(rows) >= 0.93


def test_a_person_gets_a_table_with_the_problems_beneath(worker, ninety_and_ten):
    done = worker("classify", ninety_and_ten)
    assert done.returncode == 1
    assert "S-90" in done.stdout
    assert "Research Use Only" in done.stdout
    assert "bad_half.jpg" in done.stdout
    assert "end marker is missing" in done.stdout


def test_few_cells_are_withheld(worker, drop, make_slide, json_lines):
    make_slide(drop, "S-1", 4)
    done = worker("classify", drop, "--json")
    assert done.returncode == 0, done.stderr
    (told,) = json_lines(done.stdout)
    assert (told["percent"], told["ci95"], told["state"]) == (None, None, "classified")


def test_nothing_is_made_by_classifying(worker, drop, make_slide, settings):
    make_slide(drop, "S-1", 1)
    assert worker("classify", drop, "--json").returncode == 0
    assert not settings.var.exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nowhere"], ["nowhere", "No such file"]),
        (["."], ["no slide there in layout slides"]),
        (["drop", "--layout", "heap"], ["WNET_LAYOUT", "there are: slides, classes, dated, flat, manifest"]),
        (["drop", "--geometry", "square"], ["WNET_GEOMETRY", "there are: di60, whole"]),
        (["drop", "--bundle", "nowhere"], ["no bundle at nowhere"]),
        (["drop", "--cells", "no/such/folder.csv"], ["folder.csv", "No such file"]),
    ],
)
def test_a_wrong_call_is_one_sentence(worker, drop, make_slide, arguments, words):
    make_slide(drop, "S-1", 1)
    refused(worker("classify", *arguments), "worker: ", *words)


@pytest.mark.parametrize(
    ("variable", "value"),
    [("WNET_ENGINE", "tensorrt"), ("WNET_SETTLE_SECONDS", "soon"), ("WNET_DATABASE_URL", "rubbish")],
)
def test_a_wrong_setting_is_one_sentence(worker, drop, make_slide, variable, value):
    make_slide(drop, "S-1", 1)
    command = ["results"] if variable == "WNET_DATABASE_URL" else ["classify", drop]
    refused(worker(*command, **{variable: value}), variable)


def test_a_damaged_bundle_is_one_sentence(worker, drop, make_slide, bundle, tmp_path):
    make_slide(drop, "S-1", 1)
    shutil.copytree(bundle.folder, tmp_path / "copy")
    with (tmp_path / "copy" / "wnet.onnx").open("ab") as file:
        file.write(b"x")
    refused(worker("classify", drop, "--bundle", tmp_path / "copy"), "SHA-256 differs")


def test_a_call_that_makes_no_sense_is_exit_code_two(worker):
    for arguments in (
        ["classify"], ["nonsense"], ["retry"], ["retry", "S-1", "--failed"], ["results", "--nonsense"],
    ):  # fmt: skip
        done = worker(*arguments)
        assert done.returncode == 2
        assert done.stdout == ""
        assert "Traceback" not in done.stderr


# --- results, status, doctor, retry, migrate -----------------------------------------------------------------------


@pytest.mark.parametrize("command", [["results"], ["results", "--json"], ["retry", "--failed"]])
def test_without_a_database_it_is_said_how_to_get_one(worker, command):
    refused(worker(*command), "wnet.sqlite: run `worker migrate`")


def test_a_file_that_is_no_database_is_one_sentence(worker, settings):
    settings.var.mkdir()
    (settings.var / "wnet.sqlite").write_bytes(b"rubbish" * 999)
    refused(worker("results"), "not a database")


def test_migrating_twice_prepares_once(worker, settings):
    for _ in range(2):
        done = worker("migrate")
        assert (done.returncode, done.stdout) == (0, "")
    assert (settings.var / "wnet.sqlite").exists()
    assert len(list((settings.var / "models").iterdir())) == 1
    assert worker("results", "--json").stdout == ""
    assert "No slides yet" in worker("results").stdout
    unknown = worker("results", "--slide", "S-9", "--json")
    assert (unknown.returncode, unknown.stdout) == (1, "")
    assert "no slide 'S-9'" in unknown.stderr


def test_results_for_programs_and_for_people(worker, classified, json_lines):
    done = worker("results", "--json")
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    (told,) = json_lines(done.stdout)
    assert list(told) == KEYS
    assert (told["slide_id"], told["state"], told["cells"]["total"], told["backend"]) == (
        "S-1",
        "classified",
        4,
        "fake-fp32",
    )
    rows = list(csv.DictReader(worker("results", "--csv").stdout.splitlines()))
    assert [(row["slide_id"], row["total"]) for row in rows] == [("S-1", "4")]
    assert "S-1" in worker("results").stdout
    assert worker("results", "--json", "--slide", "S-2").stdout == ""
    assert len(json_lines(worker("results", "--json", "--all", "--slide", "S-1").stdout)) == 1


def test_status_says_what_needs_a_person(worker, queued, json_lines):
    done = worker("status", "--json")
    assert done.returncode == 1  # no broker runs here
    (told,) = json_lines(done.stdout)
    assert told["needs_attention"] == ["the broker does not answer; slides wait in the database"]
    assert told["slides"] == {"queued": 1}
    assert (told["to_be_queued"], told["working_on"]) == (1, 0)
    assert told["broker"] == {"answers": False, "waiting": None}
    assert told["sources"][0]["there"]
    assert "does not answer" in worker("status").stdout


def test_status_is_content_when_all_is_well(worker, broker, classified, json_lines):
    broker.start()
    done = worker("status", "--json")
    assert done.returncode == 0, done.stdout
    (told,) = json_lines(done.stdout)
    assert told["needs_attention"] == []
    assert told["broker"] == {"answers": True, "waiting": 0}
    assert told["slides"] == {"classified": 1}


def test_status_names_failed_slides_and_absent_folders(worker, queued, sqlite_store, drop, json_lines):
    ledger.fail(sqlite_store, ledger.claim(sqlite_store, queued, "w"), "why")
    drop.rename(drop.with_name("away"))
    (told,) = json_lines(worker("status", "--json").stdout)
    assert any("1 failed" in line for line in told["needs_attention"])
    assert any(f"{drop} is not there" in line for line in told["needs_attention"])


@pytest.mark.parametrize("command", ["status", "doctor"])
def test_a_share_that_stumbles_keeps_nothing_else_from_being_told(worker, queued, json_lines, tmp_path, command):
    stumbling = tmp_path / ("n" * 300)  # asked for, it is an error of its own, as a share's stale handle is
    done = worker(command, "--json", WNET_DROP=stumbling)
    assert done.returncode == 1
    assert f"{stumbling}" in done.stdout
    told = json_lines(done.stdout)
    assert len(told) > 5 if command == "doctor" else told[0]["slides"] == {"queued": 1}


def test_status_without_a_database_is_no_traceback(worker, json_lines):
    done = worker("status", "--json")
    assert done.returncode == 1
    (told,) = json_lines(done.stdout)
    assert any("worker migrate" in line for line in told["needs_attention"])


def test_the_doctor_finds_nothing_wrong_with_a_good_installation(worker, broker, queued, json_lines):
    broker.start()
    done = worker("doctor", "--json")
    told = {finding["name"]: finding for finding in json_lines(done.stdout)}
    names = (
        "python, state folder, drop folder, database, kept pictures, broker, network, compiled forms, events, gpu, "
        "nightly learning"
    )
    assert set(told) == set(names.split(", "))
    bad = {name: finding["found"] for name, finding in told.items() if finding["verdict"] == "bad"}
    assert not bad.keys() - {"state folder"}  # a full disk is no fault of ours
    assert done.returncode == (1 if bad else 0)
    assert all(finding["cure"] == "" for finding in told.values() if finding["verdict"] == "good")


def test_the_doctor_names_what_is_wrong_with_a_cure(worker, drop, settings, json_lines):
    drop.rmdir()
    settings.var.mkdir()
    (settings.var / "wnet.sqlite").write_bytes(b"rubbish" * 999)
    done = worker("doctor", "--json", WNET_BROKER_URL="redis+socket:///nowhere/broker.sock")
    assert done.returncode == 1
    told = {finding["name"]: finding for finding in json_lines(done.stdout)}
    assert {name for name, finding in told.items() if finding["verdict"] == "bad"} >= {
        "drop folder",
        "database",
        "broker",
    }
    assert all(finding["cure"] for finding in told.values() if finding["verdict"] == "bad")
    assert "Traceback" not in done.stderr


def test_failed_slides_are_queued_again_by_name_or_all(worker, queued, sqlite_store, json_lines):
    ledger.fail(sqlite_store, ledger.claim(sqlite_store, queued, "w"), "why")
    done = worker("retry", "S-1", "unknown", "--json")
    assert (done.returncode, json_lines(done.stdout)) == (1, [{"queued": 1}])
    assert done.stderr == "no failed slide: unknown\n"
    done = worker("retry", "--failed", "--json")
    assert (done.returncode, json_lines(done.stdout)) == (0, [{"queued": 0}])


def test_a_name_that_is_no_text_is_that_of_the_slide_so_shown(worker, queued, sqlite_store, json_lines):
    name = os.fsdecode(b"S-\xe4")
    with sqlite_store.write() as session:
        session.execute(update(SlideRow).values(slide_id=slide_name(name)))
    (told,) = json_lines(worker("results", "--json", "--slide", name).stdout)
    assert told["slide_id"] == r"S-\xe4"
    ledger.fail(sqlite_store, ledger.claim(sqlite_store, queued, "w"), "why")
    assert json_lines(worker("retry", name, "--json").stdout) == [{"queued": 1}]
    done = worker("retry", name + name)
    assert (done.returncode, done.stderr) == (1, "no failed slide: S-\\xe4S-\\xe4\n")
    refused(worker("quarantine", "show", name * 3), "digits of the picture's SHA-256")


@pytest.mark.parametrize("how", [[], ["--csv"]])
def test_a_name_that_a_terminal_cannot_write_is_shown_with_escapes(worker_process, queued, sqlite_store, how):
    with sqlite_store.write() as session:
        session.execute(update(SlideRow).values(slide_id="S-\u03a9"))
    done = worker_process("results", *how, PYTHONIOENCODING="ascii")
    assert (done.returncode, done.stderr) == (0, "")
    assert r"S-\u03a9" in done.stdout


def test_a_link_that_leads_to_itself_is_no_slide_and_hides_none(worker, tmp_path, make_slide, drop):
    make_slide(drop, "S-1", 1)
    (drop / "S-1" / "a.jpg").symlink_to("a.jpg")
    (tmp_path / "loop").symlink_to("loop")
    refused(worker("classify", tmp_path / "loop"), "loop: Too many levels of symbolic links")
    assert worker("classify", drop / "S-1", "--layout", "manifest").returncode == 1  # the link is named


def test_whoever_reads_only_the_first_line_sees_no_traceback(settings, classified, tmp_path):
    import subprocess
    import sys

    command = f"{sys.executable} -c 'from worker.cli import main; main()' results --json | true"
    done = subprocess.run(
        ["sh", "-c", command],
        cwd=tmp_path,
        env=os.environ | {"WNET_VAR": str(settings.var)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "Traceback" not in done.stderr
