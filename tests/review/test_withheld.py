"""A withheld differential is withheld in every column of the slide's page, with the reason."""

import re

from seeding import add_slide
from sqlmodel import select

from smear.tables import CellRow


SIX = {"sidecar": {"wbc_10e9_L": 6.0}}


def panel(client, slide):
    page = client.get(f"/slides/{slide}").text
    return page.split('id="panel"')[1].split("</section>")[0]


def columns(text):
    """The figures of the opinions' columns, row by row."""
    return [re.findall(r'class="num other">([^<]*)<', row) for row in text.split('<tr class="drop"')[1:]]


def test_few_cells_show_counts_and_no_per_cent_anywhere(client, desk):
    slide = add_slide(desk.store, "S-1", cells=["eosinophil"] * 42, analyser=["eosinophil"] * 42, **SIX)
    text = panel(client("vera"), slide)
    assert "Withheld: few cells, 42 of 50." in text
    assert columns(text)[:2] == [["0", "0"], ["42", "42"]]
    assert re.findall(r"\d+\.\d", text.split("<tbody>")[1].split("</tbody>")[0]) == []
    for word in ("100.0", "10⁹/L</th>", "eosinophilia", "prevalence-adjusted", "Within the reference"):
        assert word not in text


def test_the_models_and_the_analysers_columns_are_withheld_with_the_reported_one(client, desk):
    slide = add_slide(desk.store, "S-1", cells=["neutrophil"] * 55, analyser=["neutrophil"] * 55, **SIX)
    maria = client("maria")
    assert "100.0" in panel(maria, slide)
    with desk.store.read() as session:
        cells = list(session.exec(select(CellRow.id).where(CellRow.slide == slide)))
    answer = maria.label(slide, cells[:10], "outside", 0, "smudge").json()
    for text in (panel(maria, slide), answer["panel"]):
        assert "Withheld: few cells, 45 of 50." in text
        assert columns(text)[0] == ["55", "55"]
        assert "100.0" not in text
        assert "prevalence-adjusted" not in text
    assert "few cells, 45 of 50" in answer["sheet"]
    assert "%" not in re.sub(r"95 % limits|>%<", "", answer["sheet"])


def test_an_opinion_on_few_cells_shows_counts_while_the_reported_one_has_per_cents(client, desk):
    opinions = ["neutrophil"] * 40 + [None] * 60
    slide = add_slide(desk.store, "S-1", cells=["neutrophil"] * 100, analyser=opinions)
    text = panel(client("vera"), slide)
    assert columns(text)[0] == ["40", "100.0"]
    assert "Withheld" not in text
    assert "Anl. n" in text
