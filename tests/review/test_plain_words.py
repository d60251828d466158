"""The page's words: each place says the term of the trade."""

import re

import pytest
from seeding import PASSWORD, add_many, add_slide


def text(page):
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page))


@pytest.fixture
def places(client, desk, slide):
    """Pages by name, as people read them."""
    add_many(desk.store, 120)
    add_slide(desk.store, "S-STRANGE", cells=["other"] * 120)
    maria, ada, vera = client("maria"), client("ada"), client("vera")
    wrong = {"old": PASSWORD, "new": "a kingdom for it", "again": "a kingdom for that", "csrf": maria.csrf}
    return {
        "board": text(maria.get("/?show=all").text),
        "slide": text(maria.get(f"/slides/{slide}").text),
        "signing": text(maria.get(f"/slides/{slide}/signing").text),
        "password": text(maria.get("/password").text),
        "passwords": text(maria.write("/password", data=wrong).text),
        "models": text(ada.get("/models").text),
        "refused": text(vera.get("/users", headers={"accept": "text/html"}).text),
    }


def test_each_place_says_the_term_of_the_trade(places):
    terms = {
        "board": ["2 to review", "Reviewer", "Notes", "Processing", "Next"],
        "slide": ["2 to review", "Other cells", "unspecified", "Model (prevalence-adjusted)"],
        "signing": ["Signing locks this slide."],
        "password": ["Current password"],
        "passwords": ["Passwords do not match."],
        "models": ["Model"],
        "refused": ["Access denied"],
    }
    missing = [(place, term) for place, those in terms.items() for term in those if term not in places[place]]
    assert missing == []


def test_no_place_says_the_words_of_before(places):
    before = (
        "to look at", "utside the five", "no finer name", "second signature", "Being read", "Further",
        "corrected for mix", "locked then", "two ways", "Present password", "Your role does not allow that",
    )  # fmt: skip
    assert [(place, term) for place, page in places.items() for term in before if term in page] == []
