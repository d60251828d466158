"""Tables for people, on a terminal."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, tzinfo
from typing import Any, Final

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from smear.cells import CELL_TYPES
from smear.local_time import show as show_time
from smear.report import FINISHED
from smear.sidecar import is_sidecar
from worker.finding import Finding


_COLOURS: Final = {
    "arriving": "cyan",
    "queued": "blue",
    "classified": "green",
    "reviewed": "green",
    "signed": "bold green",
    "failed": "bold red",
    "listed": "dim",
    "good": "green",
    "mind": "yellow",
    "bad": "bold red",
}


_HEADINGS: Final = ("Neutro", "Eosino", "Baso", "Lympho", "Mono")
#: Width where the output is no terminal: tables that are piped or mailed keep their columns.
PIPED_WIDTH: Final = 120


def console(*, stderr: bool = False) -> Console:
    """A console on standard output or error."""
    made = Console(stderr=stderr)
    return made if made.is_terminal else Console(stderr=stderr, width=PIPED_WIDTH)


def results_table(slides: Iterable[Mapping[str, Any]], low_count_cells: int, zone: tzinfo = UTC) -> Table:
    """A row a slide: per cent of each type with its 95 % limits, cells counted, and notes; times in that zone."""
    table = Table(
        box=box.SIMPLE_HEAD,
        caption="Per cent of the counted cells, exact 95 % limits beneath. For Research Use Only.",
        caption_justify="left",
    )
    table.add_column("Slide", overflow="fold", min_width=8)
    table.add_column("Rev", justify="right", no_wrap=True)
    table.add_column("State", no_wrap=True)
    table.add_column("Cells", justify="right", no_wrap=True)
    for heading in _HEADINGS:
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("Notes", overflow="fold")
    for slide in slides:
        table.add_row(
            escape(slide["slide_id"]),
            str(slide["revision"]),
            Text(slide["state"], _COLOURS.get(slide["state"], "")),
            f"{counted_cells(slide)}/{slide['cells']['total']}",
            *(_share(slide, cell_type) for cell_type in CELL_TYPES),
            escape(remarks(slide, low_count_cells, zone)),
        )
    return table


def _share(slide: Mapping[str, Any], cell_type: str) -> Text:
    if slide["percent"] is None:
        count = slide["counts"][cell_type]
        return Text(f"n={count}" if count else "-", "dim")
    if slide["ci95"] is None:
        return Text(f"{slide['percent'][cell_type]:.1f}")
    low, high = slide["ci95"][cell_type]
    return Text.assemble(f"{slide['percent'][cell_type]:.1f}", (f"\n{low:.1f}-{high:.1f}", "dim"))


def counted_cells(slide: Mapping[str, Any]) -> int:
    """How many cells the reported percentages rest on."""
    return sum(slide["counts"].values())


def remarks(slide: Mapping[str, Any], low_count_cells: int, zone: tzinfo = UTC) -> str:
    """What a technologist should know about a slide, in a few words; times in that zone."""
    said = _signatures(slide, zone)
    cells = slide["cells"]
    if slide["complete"] is False:
        said.append(f"incomplete: {slide['files']} of {slide['expected_cells']}")
    if slide["withheld"] is not None:
        said.append(f"withheld: {slide['withheld']}")
    elif slide["state"] in FINISHED and counted_cells(slide) < low_count_cells:
        said.append("low count")
    said += [f"{cells[name]} {name}" for name in ("outside", "misfit", "unreadable") if cells[name]]
    if slide["state"] in {"failed", "queued"} and slide["problems"]:
        return "; ".join([*said, slide["problems"][0]["reason"]])
    if slide["reported_by"] == "signature":
        said += [problem["reason"] for problem in slide["problems"] if not problem["file"]]
    return "; ".join(said + _sidecar_remarks(slide))


def _sidecar_remarks(slide: Mapping[str, Any]) -> list[str]:
    """A note for each sidecar that is not used, or not all of it."""
    reasons: dict[str, list[str]] = {}
    for problem in slide["problems"]:
        if is_sidecar(problem["file"]):
            reasons.setdefault(problem["file"], []).append(problem["reason"])
    return [f"{file}: {found[0] if len(found) == 1 else f'{len(found)} problems'}" for file, found in reasons.items()]


def _signatures(slide: Mapping[str, Any], zone: tzinfo) -> list[str]:
    """Who reported the numbers; nothing where the model did."""
    if slide["reported_by"] != "signature":
        return []
    said = [f"{'amended and ' if slide['amended'] else ''}signed by {_by(slide, 'signed', zone)}"]
    if slide["countersigned_by"] is not None:
        said.append(f"countersigned by {_by(slide, 'countersigned', zone)}")
    return [*said, "open for amendment"] if slide["amending"] else said


def _by(slide: Mapping[str, Any], did: str, zone: tzinfo) -> str:
    return f"{slide[f'{did}_by']}, {show_time(datetime.fromisoformat(slide[f'{did}_at']), zone)}"


def problems_table(slides: Iterable[Mapping[str, Any]]) -> Table | None:
    """Every picture that something is wrong with; None where there is none."""
    table = Table(box=box.SIMPLE_HEAD, title="Pictures not classified", title_justify="left")
    for name in ("Slide", "File", "Reason"):
        table.add_column(name, overflow="fold")
    for slide in slides:
        for problem in slide["problems"]:
            if problem["file"] and not is_sidecar(problem["file"]):
                table.add_row(escape(slide["slide_id"]), escape(problem["file"]), escape(problem["reason"]))
    return table if table.row_count else None


def show_status(console: Console, told: Mapping[str, Any]) -> None:
    """`worker status` for people."""
    table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    for source in told["sources"]:
        there = "" if source["there"] else "  [bold red]not there[/]"
        if source["scanned_seconds_ago"] is not None:
            there += f", scanned {source['scanned_seconds_ago']:.0f} s ago"
        table.add_row("Drop folder", f"{escape(source['name'])}: {escape(source['drop'])} ({source['layout']}){there}")
    database = told["database"]
    table.add_row("Broker", _broker(told["broker"]))
    table.add_row("Database", escape(database["problem"]) if database["problem"] else "answers")
    table.add_row("Bundle", told.get("bundle") or "none")
    table.add_row("Engine", f"{told['engine']}, precision {told['precision']}")
    slides = told.get("slides", {})
    table.add_row("Slides", "  ".join(f"[{_COLOURS.get(s, '')}]{n} {s}[/]" for s, n in slides.items()) or "none yet")
    if told.get("oldest_unfinished_seconds") is not None:
        table.add_row(
            "Unfinished",
            f"{told['backlog']} in the backlog, {told['working_on']} of them being classified, "
            f"{told['to_be_queued']} to be queued",
        )
        oldest, again = told["oldest_unfinished"], told["tried_again"]
        table.add_row(
            "Oldest",
            f"{escape(oldest['slide_id'])}, {oldest['state']} for {told['oldest_unfinished_seconds']:.0f} s, "
            f"{oldest['attempts']} attempts",
        )
        if again["slides"]:
            table.add_row("Tried again", f"{again['slides']} slides, up to {again['most_attempts']} times")
    table.add_row("Quarantine", f"{told['quarantine']} pictures" if told.get("quarantine") else "empty")
    for name, said in (*gap_lines(told), *_learning(told)):
        table.add_row(name, escape(said))
    disk = told["disk"]
    if disk["free_mb"] is not None:
        table.add_row("Disk", f"{disk['free_mb']} MB free, {disk['reserve_mb']} are kept in reserve")
    console.print(table)
    for line in told["needs_attention"]:
        console.print(f"[bold red]![/] {escape(line)}")


def _broker(broker: Mapping[str, Any]) -> str:
    if not broker["answers"]:
        return "[bold red]does not answer[/]"
    if "refuses" in broker:
        return "[bold red]answers, refuses writes[/]"
    # Of a queue of a wrong type nothing can be counted.
    return "answers" if broker["waiting"] is None else f"answers, {broker['waiting']} waiting"


def _learning(told: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The latest night, what nightly learning lacks on this host, and drift."""
    said = []
    if night := told.get("night"):
        said.append(("Night", f"{night['night']}: {night['reason'] or 'done: see `worker models list`'}"))
    if (learning := told["learning"])["missing"]:
        missing = ", ".join(learning["missing"])
        said.append(("Learning", f"not on this host: {missing} not installed; install with: {learning['install']}"))
    if (drift := told.get("drift")) and drift["days"]:
        said.append(("Drift", f"{len(drift['alarms']) or 'no'} alarms; {drift['days']} days known"))
    return said


def gap_lines(told: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What is missing without anything having failed: slides that are not complete, files that no slide takes."""
    said = []
    if (incomplete := told.get("incomplete")) and incomplete["slides"]:
        said.append(("Incomplete", f"{_counted(incomplete['slides'], 'slide')} within {incomplete['days']} days"))
    if (ignored := told.get("ignored")) and ignored["files"]:
        example = "".join(f", such as {one['file']}: {one['reason']}" for one in ignored["examples"][:1])
        said.append(("Ignored", f"{_counted(ignored['files'], 'file')}{example}"))
    return said


def _counted(n: int, noun: str) -> str:
    return f"{n} {noun}{'' if n == 1 else 's'}"


def quarantine_table(entries: Iterable[Mapping[str, Any]]) -> Table:
    """`worker quarantine list` and `show` for people."""
    table = Table(box=box.SIMPLE_HEAD)
    for name in ("Content", "Since", "The worker", "Slide", "File"):
        table.add_column(name, overflow="fold")
    for entry in entries:
        first = (entry["sha256"][:12], entry["quarantined_at"][:16], f"{entry['ended']}, {entry['deaths']} times")
        for i, place in enumerate(entry["places"] or [{"slide_id": "", "file": ""}]):
            table.add_row(*(first if i == 0 else ("", "", "")), escape(place["slide_id"]), escape(place["file"]))
    return table


def findings_table(findings: Iterable[Finding]) -> Table:
    """`worker doctor` for people."""
    table = Table(box=box.SIMPLE_HEAD)
    for name in ("", "What", "Found", "Cure"):
        table.add_column(name, overflow="fold")
    for finding in findings:
        verdict = Text(finding.verdict, _COLOURS[finding.verdict])
        table.add_row(verdict, finding.name, escape(finding.found), escape(finding.cure))
    return table


def bundles_table(bundles: Iterable[Mapping[str, Any]]) -> Table:
    """A row a bundle: whether it serves, the engines of its results, the night it comes from, its scorecard."""
    table = Table(box=box.SIMPLE_HEAD)
    for heading in ("Bundle", "", "Engine and precision", "Night", "Scorecard"):
        table.add_column(heading, overflow="fold")
    for one in bundles:
        state = Text("serves", "bold green") if one["serves"] else Text("gone", "bold red") if not one["there"] else ""
        table.add_row(
            escape(one["bundle"]), state, _engines(one["engines"]), one["night"] or "", escape(one["reason"] or "")
        )
    return table


def _engines(engines: Iterable[Mapping[str, Any]]) -> str:
    """Each engine with its precision, and how many results it made."""
    return "\n".join(
        escape(f"{use['engine']} {use['precision'] or ''}".strip()) + f", {_counted(use['results'], 'result')}"
        for use in engines
    )


def scorecard_table(card: Mapping[str, Any]) -> Table:
    """A challenger's rules, each with its verdict."""
    table = Table(box=box.SIMPLE_HEAD, title=f"{card['challenger']} beside {card['champion']}", title_justify="left")
    for heading in ("Rule", "", "What was found", "Difference, or share; 95 %"):
        table.add_column(heading, overflow="fold")
    for rule in card["rules"]:
        verdict = Text("kept", "green") if rule["kept"] else Text("broken", "bold red")
        table.add_row(escape(rule["rule"]), verdict, escape(rule["sentence"]), _interval(rule))
    return table


def _interval(rule: Mapping[str, Any]) -> str:
    if found := rule.get("share"):
        return "{:.3f}\n{:.3f} to {:.3f}".format(*found)
    if found := rule.get("difference"):
        also = [f"{escape(what)}\n{_signed(more)}" for what, more in rule.get("also", {}).items()]
        return "\n".join([_signed(found), *also])
    return ""


def _signed(found: Sequence[float]) -> str:
    return "{:+.3f}\n{:+.3f} to {:+.3f}".format(*found)


def beside_table(told: Mapping[str, Any]) -> Table:
    """Two bundles side by side, in per cent and points."""
    table = Table(
        box=box.SIMPLE_HEAD,
        title=f"{told['second']} beside {told['first']}, {told['images']} pictures",
        title_justify="left",
        caption="Differences in points with 95 % limits, on the same pictures.",
        caption_justify="left",
    )
    for heading in ("", "Cells", "First", "Second", "Difference"):
        table.add_column(heading, justify="right" if heading else "left")
    rows = [*told["types"].items(), ("class average", told["class_average"]), ("accuracy", told["accuracy"])]
    for name, one in rows:
        low, high = one["ci95"]
        limits = f"{100 * one['difference']:+.1f} ({100 * low:+.1f} to {100 * high:+.1f})"
        cells = str(one.get("cells", ""))
        table.add_row(name, cells, f"{100 * one['first']:.1f}", f"{100 * one['second']:.1f}", limits)
    return table


def rerun_table(told: Iterable[Mapping[str, Any]]) -> Table:
    """Two rows a slide: what was reported, and what another bundle says of the same pictures."""
    table = Table(
        box=box.SIMPLE_HEAD,
        caption="Per cent of the classified cells, exact 95 % limits beneath. Nothing of this was stored.",
        caption_justify="left",
    )
    table.add_column("Slide", overflow="fold", min_width=8)
    table.add_column("By", overflow="fold")
    for heading in _HEADINGS:
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("Notes", overflow="fold")
    for one in told:
        reported, again = one["reported"], one["rerun"]
        who = "people, over " if reported["by"] == "people" else ""
        table.add_row(
            escape(one["slide_id"]),
            escape(f"{who}{reported['bundle']}"),
            *(_share(reported, cell_type) for cell_type in CELL_TYPES),
            "",
        )
        gone = [f"{one['pictures_gone']} pictures are gone"] if one["pictures_gone"] else []
        if again is None:
            table.add_row("", "", *[""] * len(CELL_TYPES), "; ".join(gone))
            continue
        otherwise = [f"{one['called_otherwise']} cells called otherwise"]
        table.add_row(
            "",
            escape(again["bundle"]),
            *(_share(again, cell_type) for cell_type in CELL_TYPES),
            "; ".join(otherwise + gone),
        )
    return table
