"""Searching the board: a name is found composed or decomposed, in capitals or not, on both databases."""

import time
import unicodedata

import pytest
from seeding import add_slide

from review import board
from review.slide import Rules
from smear.intervals import ADULT


RULES = Rules(ADULT, 50, 100, 0.9, "wnet-worker test")
COMPOSED, DECOMPOSED = (unicodedata.normalize(form, "Präparat-Ñ") for form in ("NFC", "NFD"))


@pytest.fixture
def found(store):
    """found(text): the names that a search for it finds."""
    for name in (COMPOSED, DECOMPOSED, "ΣΊΣΥΦΟΣ", "Ёлка", "50%_Ä", "praparat"):
        add_slide(store, name)
    add_slide(store, "S-1", sidecar={"order_id": unicodedata.normalize("NFD", "Auftrag-Öß")})

    def search(text):
        with store.read() as session:
            return sorted(line.name for line in board.page(session, RULES, show="all", search=text).lines)

    return search


@pytest.mark.parametrize("typed", [
    COMPOSED, DECOMPOSED, COMPOSED.upper(), DECOMPOSED.lower(), "äparat-ñ", unicodedata.normalize("NFD", "PRÄP"),
])  # fmt: skip
def test_a_slide_is_found_in_every_form_and_case(found, typed):
    assert found(typed) == sorted([COMPOSED, DECOMPOSED])


def test_letters_of_every_script_are_found_in_either_case_and_none_is_a_pattern(found):
    assert found("σίσυφοσ") == ["ΣΊΣΥΦΟΣ"]
    assert found("ёЛК") == ["Ёлка"]
    assert found("%_ä") == ["50%_Ä"]
    assert found("ä%ä") == []
    assert found("AUFTRAG-öß") == ["S-1"]
    assert found("praparat") == ["praparat"]


def test_a_search_of_very_many_letters_is_answered(found):
    text = "".join(chr(0x100 + i) for i in range(200))
    begun = time.monotonic()
    assert found(text) == []
    assert found(text.upper()) == []
    assert time.monotonic() - begun < 10


def test_a_search_is_answered_in_a_browsers_address(desk, client):
    add_slide(desk.store, DECOMPOSED)
    assert DECOMPOSED in client("vera").get("/", params={"q": COMPOSED.upper(), "show": "all"}).text


def test_a_person_signs_in_however_the_name_is_typed(client):
    ada = client("ada")
    page = ada.write("/users", data={"name": "\uff25\uff56\uff45.\u212a", "full_name": "Eve K", "role": "viewer"})
    assert "eve.k" in page.text
    password = page.text.split('class="given">')[1].split("<")[0]
    for typed in ("eve.k", " EVE.K ", "\uff45ve.\u212a"):
        eve = client()
        assert eve.sign_in(typed, password).status_code == 303, typed
    refused = ada.write("/users", data={"name": "e\u0308ve", "full_name": "Eve", "role": "viewer"})
    assert refused.status_code == 422
