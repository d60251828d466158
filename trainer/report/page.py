"""report.html: everything of a run on one page that needs nothing beside itself."""

import base64
import io
from collections.abc import Mapping, Sequence
from importlib.resources import files
from typing import Any, Final

import jinja2
from markupsafe import Markup
from PIL import Image

from smear.pictures import RGB
from trainer.report import alt
from trainer.report.facts import DEVIATION_NOTE, LIMITS_NOTE, PAPER_AVERAGE, PAPER_NOTE, Facts
from trainer.report.markdown import one_decimal
from trainer.report.statement import beside, counts, duration, statement, temperatures, title
from trainer.report.wrong import Thumbnail, WrongCell
from trainer.run_folder import Curve


#: Rows of the list of wrong cells; a run that errs more often is not read cell by cell.
LISTED: Final = 500
_JPEG_QUALITY: Final = 92


def page(
    facts: Facts,
    curves: Sequence[Curve],
    plots: Mapping[str, bytes],
    wrong: Sequence[WrongCell],
    thumbnails: Sequence[Thumbnail],
) -> str:
    """The page; `plots` holds PNG files by name: confusion, progress, types, reliability."""
    info = facts.run.info
    return template("trainer.report", "page.html.jinja").render(
        facts=facts,
        info=info,
        title=title(info),
        statement=statement(facts),
        beside=beside(facts),
        counts=counts(info),
        duration=duration(facts.result.seconds),
        notes={"deviation": DEVIATION_NOTE, "limits": LIMITS_NOTE, "paper": PAPER_NOTE},
        paper_average=PAPER_AVERAGE,
        missing_curves=len(facts.fold_numbers) - len(curves),
        temperatures=temperatures(curves),
        plots={name: uri("image/png", data) for name, data in plots.items()},
        alt={
            "confusion": alt.of_confusion(facts.scores.confusion),
            "progress": alt.of_progress(curves),
            "types": alt.of_types(curves),
            "reliability": alt.of_reliability(facts.scores.ece),
        },
        wrong=wrong,
        listed=wrong[:LISTED],
        thumbnails=thumbnails,
    )


def template(package: str, name: str) -> jinja2.Template:
    """A page of a package, which escapes all it is given and knows `style`, the look of every page."""
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, finalize=_one_line, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters.update(one_decimal=one_decimal, jpeg=_jpeg)
    style = files("trainer.report").joinpath("style.css").read_text(encoding="utf-8")
    environment.globals["style"] = Markup(style)  # noqa: S704 - a file of ours
    return environment.from_string(files(package).joinpath(name).read_text(encoding="utf-8"))


def uri(kind: str, data: bytes) -> str:
    """The data as an address that needs nothing beside the page."""
    return f"data:{kind};base64,{base64.b64encode(data).decode('ascii')}"


def _one_line(value: Any) -> Any:
    """Whatever is put into the page: file names may hold line breaks, or marks that turn the writing round."""
    if value is None:
        return "-"
    if not isinstance(value, str) or hasattr(value, "__html__") or value.isprintable():
        return value
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in " ".join(value.split()))


def _jpeg(picture: RGB) -> str:
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, format="jpeg", quality=_JPEG_QUALITY, subsampling=0)
    return uri("image/jpeg", buffer.getvalue())
