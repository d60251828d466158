"""A scorecard for people: one page that needs nothing beside itself, and one picture."""

import base64
import html
import json
from pathlib import Path
from typing import Any, Final

import matplotlib as mpl
from matplotlib.figure import Figure

from smear.cells import CELL_TYPES
from smear.differential import exact_limits


_STYLE: Final = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:62rem;margin:2rem auto;padding:0 1rem;color:#1a1a1a}"
    "table{border-collapse:collapse;width:100%}td,th{padding:.35rem .6rem;border-bottom:1px solid #ddd;text-align:left}"
    ".no{color:#9c1c1c;font-weight:600}.yes{color:#1c6b3a}img{max-width:100%}"
)
_BEFORE, _AFTER = "#7a8794", "#1f77b4"


def write(folder: Path, card: dict[str, Any]) -> None:
    """scorecard.json, .png and .html in the night's folder; raises OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "scorecard.json").write_text(json.dumps(card, indent=1) + "\n", encoding="utf-8")
    draw(card, folder / "scorecard.png")
    (folder / "scorecard.html").write_text(page(card, (folder / "scorecard.png").read_bytes()), encoding="utf-8")


def draw(card: dict[str, Any], path: Path) -> None:
    """Recall by type of champion and challenger with exact 95 % limits, a panel a hold-out."""
    with mpl.rc_context({"font.size": 9, "axes.spines.top": False, "axes.spines.right": False}):
        figure = Figure(figsize=(9, 3.4), layout="constrained")
        for place, (name, both) in enumerate(card["parts"].items(), start=1):
            axes = figure.add_subplot(1, len(card["parts"]), place)
            for offset, who, colour in ((-0.18, "champion", _BEFORE), (0.18, "challenger", _AFTER)):
                recall = both[who]["recall"]
                heights = [100 * (recall[t] or 0) for t in CELL_TYPES]
                places = [x + offset for x in range(len(CELL_TYPES))]
                axes.bar(places, heights, 0.34, label=who, color=colour)
                limits = [_exact(row, place) for place, row in enumerate(both[who]["confusion"])]
                axes.vlines(places, [low for low, _ in limits], [high for _, high in limits], color="#1a1a1a", lw=0.8)
            axes.set(title=f"{name} ({both['champion']['images']} cells)", ylabel="recall (%)", ylim=(0, 102))
            axes.set_xticks(range(len(CELL_TYPES)), [t[:6] for t in CELL_TYPES])
            axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.08), ncols=2, frameon=False)
        figure.savefig(path, dpi=130)


def _exact(row: list[int], place: int) -> tuple[float, float]:
    """Limits of a recall in per cent, from its row of the confusion matrix; nothing to draw where there is no cell."""
    return exact_limits(row[place], sum(row)) if sum(row) else (0.0, 0.0)


def page(card: dict[str, Any], picture: bytes) -> str:
    """The page's HTML."""
    verdict = "passed" if card["passed"] else "did not pass"
    rows = "".join(
        f'<tr><td>{_text(rule["rule"])}</td><td class="{"yes" if rule["kept"] else "no"}">'
        f"{'kept' if rule['kept'] else 'broken'}</td><td>{_text(rule['sentence'])}</td>"
        f"<td>{_limits(rule)}</td></tr>"
        for rule in card["rules"]
    )
    alt = "; ".join(rule["sentence"] for rule in card["rules"] if rule["rule"].startswith(("class", "nothing")))
    collected = card["collected"]
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{_text(card["challenger"])}</title>'
        f"<style>{_STYLE}</style><h1>{_text(card['challenger'])}</h1>"
        f"<p>Beside the champion {_text(card['champion'])} it <b>{verdict}</b>: {_text(card['reason'])}.</p>"
        f"<p>{collected['new_labels']} new labels; learned from {collected['learn']}, judged on {collected['judge']}; "
        f"{len(collected['disagreements'])} contents on which people disagree were left out.</p>"
        f'<img alt="{_text(alt)}" src="data:image/png;base64,{base64.b64encode(picture).decode()}">'
        "<h2>Rules</h2><table><tr><th>Rule</th><th>Verdict</th><th>What was found</th>"
        "<th>Difference, or share; 95 %</th></tr>"
        f"{rows}</table><p>For Research Use Only. Not for use in diagnostic procedures.</p></html>\n"
    )


def _limits(rule: dict[str, Any]) -> str:
    if found := rule.get("share"):
        return "{:.3f} ({:.3f} to {:.3f})".format(*found)
    if found := rule.get("difference"):
        also = [f"<br>{_text(what)} {_signed(more)}" for what, more in rule.get("also", {}).items()]
        return _signed(found) + "".join(also)
    return ""


def _signed(found: list[float]) -> str:
    return "{:+.3f} ({:+.3f} to {:+.3f})".format(*found)


def _text(value: object) -> str:
    return html.escape(str(value))
