"""From a finished run's folder to its report: plots/*.png, cv.md and report.html."""

from pathlib import Path
from typing import Final

from smear.geometry import Profile
from trainer.report.confusion import confusion_plot
from trainer.report.curves import progress_plot, types_plot
from trainer.report.facts import facts
from trainer.report.markdown import markdown
from trainer.report.page import page
from trainer.report.reliability import reliability_plot
from trainer.report.sheet import contact_sheet
from trainer.report.wrong import SHOWN, thumbnails, wrong_cells
from trainer.run_folder import open_run, read_curves, read_result


PAGE: Final = "report.html"
MARKDOWN: Final = "cv.md"
PLOTS: Final = "plots"


def write(run: Path, data: Path, geometry: Profile) -> None:
    """Write the report of `run` into it; raises UnfinishedRun.

    Thumbnails come from the data folder. A picture that is no longer there is left out, and the report says so.
    """
    opened = open_run(run)
    told, curves = facts(opened, read_result(run)), read_curves(run)
    wrong = wrong_cells(opened.cells)
    shown = thumbnails(wrong[:SHOWN], data, geometry)
    plots = {
        "confusion": confusion_plot(told.scores.confusion),
        "progress": progress_plot(curves),
        "types": types_plot(curves),
        "reliability": reliability_plot(opened.cells.probabilities, opened.cells.labels, told.scores.ece),
    }
    (run / PLOTS).mkdir(exist_ok=True)
    for name, picture in {**plots, "wrong": contact_sheet(shown)}.items():
        _put(run / PLOTS / f"{name}.png", picture)
    _put(run / MARKDOWN, _encoded(markdown(told)))
    _put(run / PAGE, _encoded(page(told, curves, plots, wrong, shown)))


def _encoded(text: str) -> bytes:
    """UTF-8, also of file names that are none."""
    return text.encode("utf-8", "backslashreplace")


def _put(file: Path, content: bytes) -> None:
    """Whole or not at all: written under another name, then renamed."""
    temporary = file.with_name(f".{file.name}.new")
    temporary.write_bytes(content)
    temporary.replace(file)
