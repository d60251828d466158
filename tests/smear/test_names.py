"""A name is found however it was typed: forms of Unicode are one name to a person, and two to a database."""

import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from smear.names import each_once, spellings, user_name


COMPOSED, DECOMPOSED = unicodedata.normalize("NFC", "Größe-Ångström"), unicodedata.normalize("NFD", "Größe-Ångström")


def test_a_name_has_the_forms_under_which_it_may_be_stored():
    assert COMPOSED != DECOMPOSED
    assert spellings(COMPOSED) == (COMPOSED, DECOMPOSED)
    assert spellings(DECOMPOSED) == (DECOMPOSED, COMPOSED)
    assert spellings("S-0001") == ("S-0001",)
    assert spellings("\u212b") == ("\u212b", "\u00c5", "A\u030a")  # the sign of the unit is neither


@given(st.text())
def test_what_is_stored_in_either_form_is_among_the_forms_of_what_is_typed(name):
    for stored in (unicodedata.normalize("NFC", name), unicodedata.normalize("NFD", name), name):
        assert stored in spellings(name)


def test_of_names_that_differ_by_their_form_alone_the_first_is_kept():
    assert each_once([DECOMPOSED, "b", COMPOSED, "a", "b"]) == [DECOMPOSED, "b", "a"]


@given(st.text())
def test_a_user_name_has_one_form(name):
    folded = user_name(name)
    assert user_name(folded) == folded
    assert user_name(unicodedata.normalize("NFD", name)) == user_name(unicodedata.normalize("NFC", name))
