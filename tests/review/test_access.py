"""What must be refused: others' things, borrowed roles, paths that lead outside."""

import base64
import hashlib

import pytest
from routes import BODIES, every_route, filled
from seeding import PASSWORD, add_slide
from sqlmodel import select

from smear.review_tables import ChangeRow, LabelRow, UserRow
from smear.tables import CellRow


HTML = {"accept": "text/html"}


def kept_cell(desk, slide, data):
    """The SHA-256 of a new cell of a slide, whose picture is kept with these bytes."""
    digest = hashlib.sha256(data).hexdigest()
    desk.pictures.put(digest, data)
    with desk.store.write() as session:
        session.add(CellRow(slide=slide, sha256=digest))
    return digest


# --- nobody, and those who may not -----------------------------------------------------------------------------------


def test_without_a_sign_in_nothing_answers_but_the_door(app, client, slide):
    nobody = client()
    seen = 0
    for path, method in [*every_route(app), ("/events", "GET"), ("/openapi.json", "GET")]:
        if path in {"/sign-in", "/healthz"}:
            continue
        answer = nobody.request(method, filled(path), follow_redirects=False)
        assert answer.status_code in {401, 403}, (method, path)
        assert "S-0001" not in answer.text
        seen += 1
    assert seen > 20
    answer = nobody.get("/", headers=HTML, follow_redirects=False)
    assert (answer.status_code, answer.headers["location"]) == (303, "/sign-in")


ALLOWED = {
    "viewer": set(),
    "technologist": {"/slides/{slide}/retry", "/slides/{slide}/labels", "/slides/{slide}/undo", "/slides/{slide}/redo",
                     "/slides/{slide}/hold", "/slides/{slide}/sign", "/slides/{slide}/amend",
                     "/slides/{slide}/comments"},
    "reviewer": {"/slides/{slide}/retry", "/slides/{slide}/labels", "/slides/{slide}/undo", "/slides/{slide}/redo",
                 "/slides/{slide}/hold", "/slides/{slide}/sign", "/slides/{slide}/amend", "/slides/{slide}/comments",
                 "/cells/{cell}/reference", "/audit/verify"},
    "administrator": {"/slides/{slide}/retry", "/audit/verify", "/users", "/users/{user}/role", "/users/{user}/active",
                      "/users/{user}/password", "/models/{number}/promote", "/models/rollback"},
}  # fmt: skip


@pytest.mark.parametrize(
    ("name", "role"), [("vera", "viewer"), ("maria", "technologist"), ("jonas", "reviewer"), ("ada", "administrator")]
)
def test_each_role_may_write_exactly_what_it_is_for(app, client, slide, name, role):
    somebody = client(name)
    for path, method in every_route(app):
        if method != "POST" or path in {"/sign-in", "/sign-out", "/password"}:
            continue
        answer = somebody.write(filled(path), json=BODIES.get(path))
        assert (answer.status_code != 403) == (path in ALLOWED[role]), (path, answer.status_code, answer.text[:200])


def test_pages_of_other_roles_stay_closed(client):
    for name, closed in (("vera", ["/users", "/audit"]), ("maria", ["/users", "/audit"]), ("jonas", ["/users"])):
        for path in closed:
            assert client(name).get(path).status_code == 403


def test_a_role_taken_away_is_gone_at_once(client, desk):
    maria, ada = client("maria"), client("ada")
    with desk.store.read() as session:
        user = session.exec(select(UserRow.id).where(UserRow.name == "maria")).one()
    assert ada.write(f"/users/{user}/role", data={"role": "viewer"}).status_code == 200
    assert maria.get("/", follow_redirects=False).status_code == 401
    again = client("maria")
    assert again.label(1, [1], "basophil", 0).status_code == 403


def test_nobody_raises_his_own_role(client, desk):
    maria = client("maria")
    with desk.store.read() as session:
        user = session.exec(select(UserRow.id).where(UserRow.name == "maria")).one()
    for told in ({"role": "administrator"}, {"role": "administrator", "user": user}):
        assert maria.write(f"/users/{user}/role", data=told).status_code == 403
    assert (
        maria.write("/password", data={"old": PASSWORD, "new": "x", "again": "x", "role": "administrator"}).status_code
        == 422
    )
    with desk.store.read() as session:
        assert session.get(UserRow, user).role == "technologist"


def test_the_last_administrator_stays_one(client, desk):
    ada = client("ada")
    with desk.store.read() as session:
        user = session.exec(select(UserRow.id).where(UserRow.name == "ada")).one()
    for path, told in (("role", {"role": "viewer"}), ("active", {"active": "false"})):
        answer = ada.write(f"/users/{user}/{path}", data=told)
        assert (answer.status_code, "last administrator" in answer.text) == (409, True)


# --- things of others ------------------------------------------------------------------------------------------------


def test_cells_of_another_slide_are_not_changed_through_this_one(client, desk, slide, cells_of):
    other = add_slide(desk.store, "S-OTHER")
    maria = client("maria")
    mixed = [cells_of(slide)[0], cells_of(other)[0]]
    assert maria.label(slide, mixed, "basophil", 0).status_code == 404
    assert maria.write(f"/slides/{slide}/comments", data={"text": "x", "cell": cells_of(other)[0]}).status_code == 404
    with desk.store.read() as session:
        assert session.exec(select(LabelRow)).all() == []


def test_nobody_undoes_what_another_did(client, slide, cells_of, desk):
    maria, jonas = client("maria"), client("jonas")
    assert maria.label(slide, cells_of(slide)[:1], "basophil", 0).status_code == 200
    answer = jonas.write(f"/slides/{slide}/undo", json={"revision": 1, "version": 1})
    assert (answer.status_code, answer.json()["words"]) == (409, "There is nothing of yours to undo here.")
    with desk.store.read() as session:
        assert session.exec(select(ChangeRow)).one().undone is False


@pytest.mark.parametrize("number", ["0", "-1", "999999", "99999999999999999999", "1.5", "x", "1%00"])
def test_numbers_that_are_none_of_ours_are_not_there(client, slide, number):
    vera = client("vera")
    for path in (f"/pictures/{number}", f"/slides/{number}", f"/slides/{slide}?revision={number}"):
        assert vera.get(path).status_code in {404, 422}, path


# --- paths -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", [
    "/pictures/../../etc/passwd", "/pictures/..%2f..%2fetc%2fpasswd", "/static/../app.py",
    "/static/%2e%2e/app.py", "/static/..%2f..%2fsmear/settings.py", "/static//etc/passwd", "/static/%00",
    "/references/..%2f..%2fvar/picture", "/references/neutrophil/picture", f"/references/{'0' * 64}/picture",
])  # fmt: skip
def test_no_path_of_a_request_reaches_the_file_system(client, path):
    answer = client("vera").get(path)
    assert answer.status_code in {404, 422}
    assert "root:" not in answer.text
    assert "import" not in answer.text


def test_a_picture_is_served_as_a_picture_or_not_at_all(client, desk, slide, digests_of):
    vera = client("vera")
    digest = digests_of(slide)[0]
    answer = vera.get(f"/pictures/{digest}")
    assert answer.headers["content-type"] == "image/jpeg"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cache-control"].startswith("private")
    assert answer.headers["vary"] == "Cookie"
    assert hashlib.sha256(answer.content).hexdigest() == digest
    # Neither to a stranger nor after its file was spoilt.
    assert client().get(f"/pictures/{digest}").status_code == 401
    kept = desk.pictures._path(digest)
    kept.write_bytes(kept.read_bytes()[:-1])
    spoilt = vera.get(f"/pictures/{digest}")
    assert (spoilt.status_code, spoilt.json()["words"]) == (404, "This picture is damaged on disk.")
    for data in (
        b"<html><script>alert(1)</script>",
        b'<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>',
        b"",
    ):
        digest = kept_cell(desk, slide, data)
        answer = vera.get(f"/pictures/{digest}")
        assert (answer.status_code, answer.json()["words"]) == (404, "This file is no picture.")
        assert vera.get(f"/pictures?digests={digest}").json() == {digest: None}


def test_a_picture_that_no_cell_shows_is_served_to_nobody(client, desk):
    data = b"\xff\xd8\xff a picture of a slide that was purged"
    digest = hashlib.sha256(data).hexdigest()
    desk.pictures.put(digest, data)
    ada = client("ada")
    assert ada.get(f"/pictures/{digest}").status_code == 404
    assert ada.get(f"/pictures?digests={digest}").json() == {digest: None}


def test_many_pictures_at_once_are_the_very_bytes_of_each_and_as_well_guarded(client, desk, slide, digests_of):
    vera, digests = client("vera"), digests_of(slide)
    address = f"/pictures?digests={','.join(digests[:64])}"
    answer = vera.get(address)
    assert answer.headers["cache-control"].startswith("private")
    assert answer.headers["vary"] == "Cookie"
    told = answer.json()
    assert list(told) == digests[:64]
    for digest in digests[:64]:
        one = vera.get(f"/pictures/{digest}")
        start, _, coded = told[digest].partition(",")
        assert (start, base64.b64decode(coded)) == (f"data:{one.headers['content-type']};base64", one.content)
    assert vera.get(f"/pictures?digests={'0' * 64}").json() == {"0" * 64: None}
    assert client().get(address).status_code == 401
    one = digests[0]
    for wrong in (
        "",
        "0",
        one[1:],
        f"{one},",
        f",{one}",
        f"{one};{one}",
        f"../{one}",
        one.upper(),
        ",".join([one] * 65),
    ):
        assert vera.get("/pictures", params={"digests": wrong}).status_code == 422
    assert vera.get("/pictures").status_code == 422
    desk.pictures.delete(digests[1])
    told = vera.get(f"/pictures?digests={digests[0]},{digests[1]}").json()
    assert [url is None for url in told.values()] == [False, True]


def test_pictures_too_large_to_go_together_are_left_to_be_asked_for_singly(client, desk, slide):
    digests = [kept_cell(desk, slide, b"BM" + bytes([n]) * 2_500_000) for n in range(3)]
    vera = client("vera")
    assert list(vera.get(f"/pictures?digests={','.join(digests)}").json()) == [digests[0]]
    assert len(vera.get(f"/pictures/{digests[1]}").content) == 2_500_002
