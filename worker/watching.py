"""`worker watch --dry-run` and `worker rescan` as they are shown: lines and a table for people, JSON for programs."""

import json
from collections import Counter
from collections.abc import Sequence
from functools import partial

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.progress import Progress
from rich.table import Table

from smear.settings import Settings
from smear.store import Store
from worker.watch.command import rescans
from worker.watch.dry_run import SeenSlide, Stranger, dry_run


def show_dry_run(settings: Settings, out: Console, *, as_json: bool) -> bool:
    """Say what the drop folders hold; whether every source could be read."""
    table = Table("Source", "Slide", "Folder", "Pictures", "Complete", "Sidecar", "Notes", box=box.SIMPLE_HEAD)
    strangers: list[Stranger] = []
    readable = True
    for one in dry_run(settings):
        readable &= not (isinstance(one, Stranger) and one.away)
        if as_json:
            print(json.dumps(one.to_object()), flush=True)  # noqa: T201 - what was asked for
        elif isinstance(one, SeenSlide):
            mind = [f"{p['file']}: {p['reason']}".removeprefix(": ") for p in one.problems]
            mind += [] if one.blood else ["not a blood smear: no differential"]
            cells = (one.source, one.slide_id, one.folder, str(one.pictures), "yes" if one.complete else "",
                     one.sidecar or "", "; ".join(mind))  # fmt: skip
            table.add_row(*(escape(cell) for cell in cells))
        else:
            strangers.append(one)
    if not as_json:
        out.print(table)
        for stranger in strangers:
            out.print(escape(f"{stranger.source}: {stranger.file}: {stranger.reason}"), highlight=False, soft_wrap=True)
        what = "files match nothing" if len(strangers) != 1 else "file matches nothing"
        out.print(f"{table.row_count} slides; {len(strangers)} {what}", highlight=False)
    return readable


def show_rescan(
    store: Store, settings: Settings, named: Sequence[str], bar: Progress, out: Console, *, by_hash: bool, as_json: bool
) -> bool:
    """Compare the sources that are named, or all; whether everything could be compared. Raises NoSource."""
    counts: Counter[str] = Counter()
    with bar:
        for one in rescans(store, settings, named, by_hash=by_hash):
            row = bar.add_task(one.source, total=None)
            for difference in one.run(partial(bar.advance, row)):
                if as_json:
                    print(json.dumps(difference.to_object()), flush=True)  # noqa: T201 - what was asked for
                else:
                    said = f"{difference.source}: {difference.slide_id}: {difference.found}: {difference.reason}"
                    out.print(escape(said), highlight=False, soft_wrap=True)
            if as_json:
                print(json.dumps({"source": one.source, "counts": dict(one.counts)}), flush=True)  # noqa: T201
            counts.update(one.counts)
    if not as_json:
        out.print(", ".join(f"{n} {verdict}" for verdict, n in sorted(counts.items())) or "no slides", highlight=False)
    return not counts["cannot be read"] and not counts["away"]
