import pytest

from smear.spreadsheet import inert


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(1)", "\t=1", "\r=1", "\n=1", "\uff1d1", "-"])
def test_what_a_spreadsheet_would_calculate_begins_with_an_apostrophe(text):
    assert inert({"slide_id": text}) == {"slide_id": f"'{text}"}


@pytest.mark.parametrize("value", ["S-0001", "a=b", "", "1", -1.5, 0, None, True])
def test_other_text_and_numbers_stay_as_they_are(value):
    assert inert({"value": value}) == {"value": value}
