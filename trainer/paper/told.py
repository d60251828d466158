"""The figures of a repeated table: each row's recall by type and fold, its confusions, its difference from another."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from smear.bundle import Bundle
from smear.cells import CELL_TYPES
from trainer.compare.paired import PairResult, compare
from trainer.paper.curve import Point, points
from trainer.paper.published import COUNTS, PUBLISHED, Published
from trainer.paper.tables import Row, Table
from trainer.recipes import RECIPES
from trainer.report.facts import Facts, facts
from trainer.run_folder import open_run, read_result


#: So many of a row's commonest confusions are named.
_NAMED: Final = 5


@dataclass(frozen=True)
class Confusion:
    """`count` cells of type `true` were taken for `predicted`: `percent` of that type."""

    true: str
    predicted: str
    count: int
    percent: float


@dataclass(frozen=True)
class RowTold:
    """A finished row, or (`variant`) the same weights asked in another way. `beside` is its paired comparison."""

    row: Row
    name: str
    title: str
    folder: Path
    facts: Facts
    confusions: tuple[Confusion, ...]
    beside: PairResult | None


@dataclass(frozen=True)
class Counted:
    """The cells of a data folder, counted as Table 2 does: (type, count, share in per cent)."""

    data: str
    lines: tuple[tuple[str, int, float], ...]

    @property
    def images(self) -> int:
        """All of them."""
        return sum(n for _, n, _ in self.lines)

    def as_json(self) -> dict[str, Any]:
        """By type."""
        return {name: {"count": n, "percent": round(share, 2)} for name, n, share in self.lines}


@dataclass(frozen=True)
class Told:
    """All of it.

    `missing` rows have not been run, `left_out` were not asked for; `counts` are Table 2's, of the large set
    and then of the small one where it was given; `start` is the network that rows were trained further from.
    """

    table: Table
    data: str
    images: int
    rows: tuple[RowTold, ...]
    missing: tuple[Row, ...]
    left_out: tuple[Row, ...]
    folds: int
    counts: tuple[Counted, ...]
    curve: tuple[Point, ...]
    start: Bundle | None
    command: str

    @property
    def published(self) -> tuple[Published, ...]:
        """The paper's own lines."""
        return PUBLISHED[self.table.number]

    @property
    def count_columns(self) -> list[tuple[str, Counted]]:
        """Table 2's columns, the paper's last."""
        total = sum(COUNTS.values())
        paper = Counted("paper", tuple((name, n, 100 * n / total) for name, n in COUNTS.items()))
        return [*((f"Here ({one.data})", one) for one in self.counts), ("Paper", paper)]

    @property
    def shortenings(self) -> list[str]:
        """Whatever makes this less than the paper's experiment; nothing where nothing does."""
        found: dict[str, list[str]] = {}
        for told in self.rows:
            if told.facts.run.info.variant is None and told.facts.run.info.shortened:
                found.setdefault(told.facts.run.info.shortened, []).append(told.name)
        trained = [told.name for told in self.rows if told.facts.run.info.variant is None]
        everywhere = list(found.values()) == [trained]
        lines = [what if everywhere else f"{what} ({', '.join(names)})" for what, names in found.items()]
        if self.table.folds and self.folds != self.table.folds:
            lines.append(f"{self.folds} instead of {self.table.folds} folds")
        if self.start is not None and (short := _shortened(self.start)):
            lines.append(f"the network of the large set: {short}")
        if self.left_out:
            lines.append(f"without the rows {', '.join(row.name for row in self.left_out)}")
        if self.missing:
            lines.append(f"not yet run: {', '.join(row.name for row in self.missing)}")
        return lines

    @property
    def title(self) -> str:
        """Which table, on what, and every shortening."""
        short = self.shortenings
        return f"Table {self.table.number}, {self.table.title}: repeated on {self.data}" + (
            f" ({'; '.join(short)})" if short else ""
        )

    def as_json(self) -> dict[str, Any]:
        """The object of `table.json`; figures in per cent."""
        return {
            "table": self.table.number,
            "title": self.title,
            "data": self.data,
            "images": self.images,
            "shortened": self.shortenings,
            "folds": self.folds or None,
            "counts": self.counts[0].as_json() if self.counts else {},
            "target": self.counts[1].data if len(self.counts) > 1 else None,
            "target_counts": self.counts[1].as_json() if len(self.counts) > 1 else None,
            "published_counts": COUNTS if self.table.number == 2 else None,
            "published": [
                {"name": line.name, "recall": dict(line.recall), "class_average": line.average}
                for line in self.published
            ],
            "rows": [_row_json(told) for told in self.rows],
            "curve": [point.as_json() for point in self.curve],
            "start": self.start.bundle_id if self.start else None,
            "command": self.command,
        }


def _shortened(start: Bundle) -> str | None:
    """What has to be said of a network that was trained for another number of epochs than its recipe's."""
    own, epochs = RECIPES.get(str(start.manifest.recipe.get("name"))), start.manifest.recipe.get("epochs")
    return None if own is None or own.epochs == epochs else f"{epochs} instead of the recipe's {own.epochs} epochs"


def tell(
    table: Table, folders: Mapping[str, Path], chosen: Sequence[Row], *, data: str, folds: int,
    counts: Sequence[Counted], start: Bundle | None = None, command: str,
) -> Told:  # fmt: skip
    """Count everything that the report tells; `folders` are those of the finished rows. Raises UnfinishedRun."""
    rows: list[RowTold] = []
    for row in chosen:
        if row.name in folders:
            rows += _told(row, folders)
    images = rows[0].facts.run.info.images if rows else sum(one.images for one in counts[:1])
    by_name = {told.name: told for told in rows}
    return Told(
        table, data, images, tuple(rows),
        tuple(row for row in chosen if row.name not in folders),
        tuple(row for row in table.rows if row not in chosen),
        folds, tuple(counts), points(table, {name: told.facts for name, told in by_name.items()}), start, command,
    )  # fmt: skip


def _told(row: Row, folders: Mapping[str, Path]) -> list[RowTold]:
    folder = folders[row.name]
    found = [_one(row, row.name, row.title, folder, _beside(row, folders))]
    for variant in sorted(path.parent.name for path in folder.glob("*/run.json")):
        name, words = f"{row.name}/{variant}", variant.replace("-", " ")
        pair = compare([folder, folder / variant], names=[row.name, name]).pairs[0]
        found.append(_one(row, name, f"{row.title}, {words}", folder / variant, pair))
    return found


def _beside(row: Row, folders: Mapping[str, Path]) -> PairResult | None:
    if row.beside is None or row.beside not in folders:
        return None
    return compare([folders[row.beside], folders[row.name]], names=[row.beside, row.name]).pairs[0]


def _one(row: Row, name: str, title: str, folder: Path, beside: PairResult | None) -> RowTold:
    run = open_run(folder)
    told = facts(run, read_result(folder))
    return RowTold(row, name, title, folder, told, _confusions(told), beside)


def _confusions(told: Facts) -> tuple[Confusion, ...]:
    counts = np.array(told.scores.confusion)
    found = [
        Confusion(CELL_TYPES[i], CELL_TYPES[j], int(counts[i, j]), 100 * float(counts[i, j] / counts[i].sum()))
        for i in range(len(CELL_TYPES))
        for j in range(len(CELL_TYPES))
        if i != j and counts[i, j]
    ]
    return tuple(sorted(found, key=lambda c: (-c.percent, c.true, c.predicted))[:_NAMED])


def _row_json(told: RowTold) -> dict[str, Any]:
    info = told.facts.run.info
    return {
        "name": told.name,
        "title": told.title,
        "model": info.model,
        "parameters": info.parameters,
        "recipe": info.recipe,
        "epochs": info.recipe_settings.get("epochs"),
        "shortened": info.shortened,
        "share": info.share,
        "init": info.init,
        "images": info.images,
        "class_average": told.facts.class_average.as_json(),
        "accuracy": told.facts.accuracy.as_json(),
        "recall": {line.name: _rounded(line.recall) for line in told.facts.pooled},
        "folds": [{"fold": n} | {line.name: _rounded(line.folds[i]) for line in told.facts.rows}
                  for i, n in enumerate(told.facts.fold_numbers)],
        "confusions": [vars(c) | {"percent": round(c.percent, 2)} for c in told.confusions],
        "seconds": told.facts.result.seconds,
        "beside": told.beside.as_json() if told.beside else None,
    }  # fmt: skip


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)
