from smear.report import slide_object
from worker.show import problems_table, remarks, results_table


def slide(**changed):
    given = {"source": "default", "slide_id": "S-1", "revision": 1, "state": "classified"}
    return slide_object(**(given | changed))


def test_a_technologist_is_told_what_to_mind_in_a_few_words():
    five = dict.fromkeys(("neutrophil", "eosinophil", "basophil", "lymphocyte", "monocyte"), 20.0)
    fine = slide(cells={"total": 120, "classified": 120}, percent=five)
    assert remarks(fine, 100) == ""
    low = slide(cells={"total": 63, "classified": 60, "outside": 2, "unreadable": 1}, percent=five)
    assert remarks(low, 100) == "low count; 2 outside; 1 unreadable"
    assert remarks(slide(cells={"classified": 9}), 100) == "withheld: too few cells"
    failed = slide(state="failed", problems=[{"file": "", "reason": "its folder went away"}])
    assert remarks(failed, 100) == "its folder went away"
    assert remarks(slide(state="queued"), 100) == ""


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
