"""What a person is shown and asked for before a signature, and what stands under it afterwards."""

from datetime import timedelta

import pytest
from seeding import PASSWORD, add_slide
from sqlmodel import select, update

from review.lockout import Growth, PasswordLimits
from review.throttle import Limits, Rate
from smear.audit import verify
from smear.review_tables import AuditRow, SessionRow, SignatureRow
from smear.tables import CellRow, DifferentialRow, RevisionRow, utc_now


WRONG = "a donkey, a kingdom"
REASON = "the smear is short, repeated twice"


def signatures(store):
    with store.read() as session:
        return list(session.exec(select(SignatureRow).order_by(SignatureRow.id)))


def sign(client, slide, version=0, **more):
    return client.write(f"/slides/{slide}/sign", json={"revision": 1, "version": version} | more)


def ago(store, minutes):
    """Let every session have given its password so long ago; None: never, as sessions from before this was kept."""
    at = None if minutes is None else utc_now() - timedelta(minutes=minutes)
    with store.write() as session:
        session.execute(update(SessionRow).values(password_at=at))


INCOMPLETE = {"sidecar": {"expected_cells": 150}}
FEW = {"cells": ["neutrophil"] * 42}
LOW = {"cells": ["neutrophil"] * 80, "doubtful": 0}


@pytest.mark.parametrize(
    ("slide", "warnings"),
    [
        ({}, ["2 doubtful cells not reviewed"]),
        (INCOMPLETE | {"doubtful": 1}, ["incomplete: 120 of 150", "1 doubtful cell not reviewed"]),
        (FEW | {"doubtful": 0}, ["withheld: few cells, 42 of 50"]),
        (LOW, ["low count: 80 cells, fewer than 100"]),
        ({"doubtful": 0}, []),
    ],
)
def test_a_signature_shows_every_warning_and_keeps_it(either_client, store, slide, warnings):
    row = add_slide(store, "S-1", **slide)
    maria = either_client("maria")
    shown = maria.get(f"/slides/{row}/signing").text
    for words in warnings:
        assert words[1:] in shown
    assert ('class="warnings"' in shown) is bool(warnings)
    assert sign(maria, row, reason=REASON).status_code == 200
    (signature,) = signatures(store)
    assert signature.result["warnings"] == warnings
    page = maria.get(f"/slides/{row}").text
    assert ("Warnings: " + "; ".join(warnings) in page) is bool(warnings)


@pytest.mark.parametrize(
    ("backend", "words"),
    [
        ("openvino-int8", "computed by openvino at int8, not at the reference fp32"),
        ("tensorrt", "computed by tensorrt at an unknown precision, not at the reference fp32"),
        ("onnx-fp32", None),
    ],
)
def test_a_precision_other_than_the_reference_is_warned_of(client, desk, slide, backend, words):
    with desk.store.write() as session:
        session.execute(update(DifferentialRow).values(backend=backend))
    sign(client("maria"), slide)
    (signature,) = signatures(desk.store)
    assert (words in signature.result["warnings"]) is (words is not None)


def test_files_with_a_problem_are_warned_of(client, desk, slide):
    with desk.store.write() as session:
        session.execute(update(DifferentialRow).values(problems=[{"file": "x.jpg", "reason": "truncated JPEG"}]))
    sign(client("maria"), slide)
    assert "1 file with a problem" in signatures(desk.store)[0].result["warnings"]


def test_a_file_with_several_problems_is_one_file_and_a_sidecars_problem_is_said_once(client, desk, slide):
    said = [{"file": "slide.json", "reason": f"{field} is not used"} for field in ("order_id", "stain")]
    with desk.store.write() as session:
        session.execute(update(DifferentialRow).values(problems=[*said, {"file": "x.jpg", "reason": "truncated JPEG"}]))
        session.execute(update(RevisionRow).values(sidecar_problems=said))
    page = client("maria").get(f"/slides/{slide}").text
    assert page.count("order_id is not used") == 1
    assert "1 file with a problem" in page
    sign(client("maria"), slide)
    assert "2 files with a problem" in signatures(desk.store)[0].result["warnings"]


def test_engine_and_precision_stand_on_the_slides_page(client, desk, slide):
    with desk.store.write() as session:
        session.execute(update(DifferentialRow).values(backend="openvino-int8"))
    assert "wnet@0123456789ab · openvino, int8" in client("vera").get(f"/slides/{slide}").text


@pytest.mark.parametrize("slide", [INCOMPLETE, FEW])
def test_an_incomplete_or_withheld_slide_is_signed_with_a_reason_only(either_client, store, slide):
    row = add_slide(store, "S-1", **slide)
    maria = either_client("maria")
    assert "Reason to sign it" in maria.get(f"/slides/{row}/signing").text
    for reason in ("", "  no  "):
        answer = sign(maria, row, reason=reason)
        assert (answer.status_code, answer.json()["reason"]) == (422, True)
    assert signatures(store) == []
    assert sign(maria, row, reason=REASON).status_code == 200
    (signature,) = signatures(store)
    assert (signature.reason, signature.result["reason"]) == (REASON, REASON)
    with store.read() as session:
        line = session.exec(select(AuditRow).where(AuditRow.action == "sign")).one()
    assert (line.reason, line.after["result"]["reason"]) == (REASON, REASON)
    assert verify(store).problem is None


@pytest.mark.parametrize("unseen", ["\u200b", "\u2060", "\u00a0", "\u3164", "\u2800", "\ufe0f", "\u00ad"])
def test_a_reason_of_characters_that_nobody_sees_is_none(client, desk, unseen):
    row = add_slide(desk.store, "S-1", **INCOMPLETE)
    maria = client("maria")
    assert sign(maria, row, reason=unseen * 8).status_code == 422
    assert sign(maria, row, reason=f"ok{unseen * 8}ay").status_code == 422
    assert sign(maria, row, reason=REASON).status_code == 200
    assert maria.write(f"/slides/{row}/amend", json={"reason": unseen * 8}).status_code == 422


def test_the_dialog_of_a_slide_with_two_signatures_names_who_signed_first(client, desk):
    row = add_slide(desk.store, "S-1", doubtful=0)
    sign(client("maria"), row)
    sign(client("jonas"), row, 1)
    assert "Maria Lind, technologist, signed these numbers" in client("maria").get(f"/slides/{row}/signing").text


def test_an_amendment_of_an_incomplete_slide_keeps_both_reasons(client, desk):
    row = add_slide(desk.store, "S-1", **INCOMPLETE)
    maria = client("maria")
    sign(maria, row, reason=REASON)
    maria.write(f"/slides/{row}/amend", json={"reason": "looked again"})
    assert sign(maria, row, 2).status_code == 422
    assert sign(maria, row, 2, reason="still short").status_code == 200
    amended = signatures(desk.store)[-1]
    assert (amended.reason, amended.result["reason"]) == ("looked again", "still short")
    page = maria.get(f"/slides/{row}").text
    assert "Reason: looked again" in page
    assert "Reason to sign: still short" in page


# --- the password -----------------------------------------------------------------------------------------------------


def test_the_password_is_asked_for_where_it_was_given_long_ago(either_client, store):
    row = add_slide(store, "S-1")
    maria = either_client("maria")
    ago(store, 14)
    assert 'class="password" hidden' in maria.get(f"/slides/{row}/signing").text
    ago(store, 16)
    assert 'class="password" hidden' not in maria.get(f"/slides/{row}/signing").text
    answer = sign(maria, row)
    assert (answer.status_code, answer.json()["password"]) == (428, True)
    assert signatures(store) == []
    assert sign(maria, row, password=PASSWORD).status_code == 200
    maria.write(f"/slides/{row}/amend", json={"reason": "looked again"})
    assert sign(maria, row, 2).status_code == 200  # it was given just now


def test_a_session_from_before_gives_its_password_first(either_client, store):
    row = add_slide(store, "S-1")
    maria = either_client("maria")
    ago(store, None)
    assert sign(maria, row).status_code == 428
    assert sign(maria, row, password=PASSWORD).status_code == 200


def test_a_wrong_password_signs_nothing_and_stands_in_the_audit(either_client, store):
    row = add_slide(store, "S-1")
    maria = either_client("maria")
    ago(store, 16)
    answer = sign(maria, row, password=WRONG)
    assert (answer.status_code, answer.json()["password"]) == (403, True)
    assert signatures(store) == []
    with store.read() as session:
        line = session.exec(select(AuditRow).order_by(AuditRow.number.desc())).first()
    assert (line.action, line.who, line.after) == ("password refused", "maria", None)
    assert sign(maria, row).status_code == 428


def test_a_countersignature_asks_for_the_password_too(client, desk, slide):
    sign(client("maria"), slide)
    jonas = client("jonas")
    ago(desk.store, 16)
    assert sign(jonas, slide, 1).status_code == 428
    assert sign(jonas, slide, 1, password=PASSWORD).status_code == 200


def test_zero_minutes_ask_each_time(make_settings, sqlite_store, quick_passwords):
    from seeding import add_people
    from web_client import LOOSE, Client

    from review.app import create_app
    from review.desk import make_desk

    settings = make_settings(review_port=0, sign_password_minutes=0)
    add_people(sqlite_store, quick_passwords)
    row = add_slide(sqlite_store, "S-1")
    maria = Client(
        create_app(make_desk(sqlite_store, settings, quick_passwords, LOOSE), settings), base_url="http://127.0.0.1"
    )
    maria.sign_in("maria")
    assert sign(maria, row).status_code == 428
    assert sign(maria, row, password=PASSWORD).status_code == 200
    maria.write(f"/slides/{row}/amend", json={"reason": "looked again"})
    assert sign(maria, row, 2).status_code == 428


def test_too_many_wrong_passwords_lock_this_persons_signatures_for_every_process(
    settings, sqlite_store, quick_passwords
):
    from seeding import add_people
    from web_client import Client

    from review.app import create_app
    from review.desk import make_desk

    limits = Limits(passwords=PasswordLimits(place=Growth(2, 900, 60, 900)), writes=Rate(1000, 1))
    add_people(sqlite_store, quick_passwords)
    row = add_slide(sqlite_store, "S-1")
    processes = [create_app(make_desk(sqlite_store, settings, quick_passwords, limits), settings) for _ in range(2)]
    maria, again, jonas = (Client(app, base_url="http://127.0.0.1") for app in (*processes, processes[1]))
    for client, name in ((maria, "maria"), (again, "maria"), (jonas, "jonas")):
        assert client.sign_in(name).status_code == 303
    ago(sqlite_store, 16)
    assert [sign(maria, row, password=WRONG).status_code for _ in range(3)] == [403, 403, 429]
    for client in (maria, again):
        answer = sign(client, row, password=PASSWORD)
        assert (answer.status_code, answer.json()["password"]) == (429, True)
    assert signatures(sqlite_store) == []
    assert sign(jonas, row, password=PASSWORD).status_code == 200


def test_a_new_password_counts_as_given(client, desk, slide):
    maria = client("maria")
    ago(desk.store, 16)
    told = {"old": PASSWORD, "new": "a kingdom for it", "again": "a kingdom for it"}
    assert maria.write("/password", data=told | {"csrf": maria.csrf}).status_code == 303
    with desk.store.read() as session:
        assert [at is not None for at in session.exec(select(SessionRow.password_at))] == [True]


# --- the second signature ---------------------------------------------------------------------------------------------


def test_the_countersigner_reads_who_signed_what_and_when(client, desk, slide, cells_of):
    maria, jonas = client("maria"), client("jonas")
    maria.label(slide, cells_of(slide)[:30], "eosinophil", 0)
    sign(maria, slide, 1)
    told = jonas.get(f"/slides/{slide}/signing").text
    assert "Countersign S-0001" in told
    assert "Maria Lind, technologist, signed these numbers on" in told
    assert '<td class="num">25.0</td>' in told
    assert "Signing locks" not in told
    with desk.store.write() as session:  # a model's answer that changed since is not what was signed
        session.execute(update(DifferentialRow).values(neutrophil=0))
        for cell in session.exec(select(CellRow)).all():
            session.delete(next(iter(session.exec(_predictions(cell.id)))))
    assert '<td class="num">25.0</td>' in jonas.get(f"/slides/{slide}/signing").text
    assert 'class="num pc">25.0<' in jonas.get(f"/slides/{slide}").text


def _predictions(cell):
    from smear.tables import PredictionRow

    return select(PredictionRow).where(PredictionRow.cell == cell)


def test_the_banner_names_both_signers_with_their_times(client, desk, slide):
    sign(client("maria"), slide)
    sign(client("jonas"), slide, 1)
    page = client("vera").get(f"/slides/{slide}").text
    banner = page.split('class="notice signed">')[1].split("</p>")[0]
    assert "signed by Maria Lind on 20" in banner
    assert "countersigned by Jonas Weber on 20" in banner


def test_nobody_reads_the_dialog_without_the_right_to_sign(client, slide):
    assert client("vera").get(f"/slides/{slide}/signing").status_code == 403
    assert client().get(f"/slides/{slide}/signing").status_code == 401
