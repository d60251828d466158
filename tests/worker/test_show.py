from zoneinfo import ZoneInfo

from smear.cells import CELL_TYPES
from smear.report import SignedResult, slide_object
from worker.show import gap_lines, problems_table, remarks, results_table


FIVE = dict.fromkeys(CELL_TYPES, 20.0)


def slide(**changed):
    given = {"source": "default", "slide_id": "S-1", "revision": 1, "state": "classified"}
    return slide_object(**(given | changed))


def test_the_notes_say_in_a_few_words_what_a_technologist_should_know():
    fine = slide(cells={"total": 120, "classified": 120}, counts={"neutrophil": 120}, percent=FIVE)
    assert remarks(fine, 100) == ""
    cells = {"total": 63, "classified": 60, "outside": 2, "unreadable": 1}
    low = slide(cells=cells, counts={"neutrophil": 60}, percent=FIVE)
    assert remarks(low, 100) == "low count; 2 outside; 1 unreadable"
    assert remarks(slide(cells={"classified": 9}), 100) == "withheld: few cells"
    failed = slide(state="failed", problems=[{"file": "", "reason": "its folder went away"}])
    assert remarks(failed, 100) == "its folder went away"
    assert remarks(slide(state="queued"), 100) == ""
    waits = slide(state="queued", problems=[{"file": "", "reason": "no bundle can be used"}])
    assert remarks(waits, 100) == "no bundle can be used"


def test_the_notes_name_a_sidecar_that_is_not_used_as_it_stands():
    cells = {"total": 120, "classified": 120}
    one = {"file": "slide.json", "reason": "not used: not valid JSON"}
    given = {"cells": cells, "counts": {"neutrophil": 120}, "percent": FIVE}
    assert remarks(slide(**given, problems=[one]), 100) == "slide.json: not used: not valid JSON"
    assert remarks(slide(**given, problems=[one, one]), 100) == "slide.json: 2 problems"


def test_a_sidecar_stands_in_no_table_of_pictures():
    told = slide(problems=[{"file": "slide.json", "reason": "not used: not valid JSON"}])
    assert problems_table([told]) is None


def test_counts_of_the_status_are_in_the_singular_where_they_are_one():
    told = {"incomplete": {"slides": 1, "days": 7}, "ignored": {"files": 1, "examples": []}}
    assert gap_lines(told) == [("Incomplete", "1 slide within 7 days"), ("Ignored", "1 file")]


def test_names_from_outside_are_shown_as_they_are_and_never_as_markup():
    from rich.console import Console

    told = slide(slide_id="[red]S[/]", problems=[{"file": "[bold]x.jpg", "reason": "[blink]why"}])
    console = Console(width=120, record=True, file=open("/dev/null", "w"))  # noqa: PTH123, SIM115
    with console.file:
        console.print(results_table([told], 100))
        console.print(problems_table([told]))
        text = console.export_text()
    assert "[red]S[/]" in text
    assert "[bold]x.jpg" in text
    assert "[blink]why" in text


def test_there_is_no_table_of_problems_where_there_are_none():
    assert problems_table([slide()]) is None


def signed(**changed):
    given = {"counts": dict.fromkeys(CELL_TYPES, 22), "percent": FIVE, "ci95": None, "signed_by": "Maria Lind",
             "signed_at": "2026-11-28T13:05:09+00:00"}  # fmt: skip
    return SignedResult(**(given | changed))


def test_the_notes_say_who_signed_and_when_in_the_laboratorys_time():
    berlin = ZoneInfo("Europe/Berlin")
    one = slide(state="signed", signed=signed())
    assert remarks(one, 100, berlin) == "signed by Maria Lind, 2026-11-28 14:05"
    second = signed(amended=True, countersigned_by="Jonas Weber", countersigned_at="2026-11-29T13:05:09+00:00")
    assert remarks(slide(state="signed", signed=second), 100, berlin) == (
        "amended and signed by Maria Lind, 2026-11-28 14:05; countersigned by Jonas Weber, 2026-11-29 14:05"
    )
    assert remarks(slide(state="reviewed", signed=signed(amending=True)), 100).endswith("; open for amendment")


def test_the_notes_say_what_is_missing_and_why_a_differential_is_withheld():
    short = slide(
        expected_cells=120, complete=False, files=96, cells={"total": 120}, counts={"monocyte": 96}, percent=FIVE
    )
    assert remarks(short, 90) == "incomplete: 96 of 120"
    few = slide(state="signed", cells={"classified": 110}, signed=signed(counts={"monocyte": 40}, percent=None))
    assert remarks(few, 100).endswith("; withheld: few cells")
    assert remarks(slide(state="listed"), 100) == "withheld: not blood"


def test_the_table_shows_the_cells_that_were_signed_and_lives_without_limits():
    from rich.console import Console

    console = Console(width=120, record=True, file=open("/dev/null", "w"))  # noqa: PTH123, SIM115
    with console.file:
        console.print(results_table([slide(state="signed", cells={"total": 120}, signed=signed())], 100))
        text = console.export_text()
    assert "110/120" in text
    assert "20.0" in text
    assert "Notes" in text
