"""Which engines, in which precision, made the stored results of each bundle."""

from collections import defaultdict
from dataclasses import dataclass
from typing import Any

from sqlalchemy import func
from sqlmodel import Session, col, select

from smear.report import engine_and_precision
from smear.tables import DifferentialRow


@dataclass(frozen=True)
class BackendUse:
    """An engine with its precision, and how many results it made."""

    backend: str
    results: int

    @property
    def engine(self) -> str | None:
        """The engine alone: "openvino"."""
        return engine_and_precision(self.backend)[0]

    @property
    def precision(self) -> str | None:
        """The precision alone: "fp32"."""
        return engine_and_precision(self.backend)[1]

    def to_object(self) -> dict[str, Any]:
        """As a JSON object."""
        return {
            "backend": self.backend,
            "engine": self.engine,
            "precision": self.precision,
            "results": self.results,
        }


def by_bundle(session: Session) -> dict[int, list[BackendUse]]:
    """The engines of each bundle's results, by the bundle's row number, the one with most results first."""
    n: Any = func.count()
    query = select(DifferentialRow.bundle, DifferentialRow.backend, n).group_by(
        col(DifferentialRow.bundle), col(DifferentialRow.backend)
    )
    found: dict[int, list[BackendUse]] = defaultdict(list)
    for bundle, backend, results in session.exec(query.order_by(n.desc(), col(DifferentialRow.backend))):
        found[bundle].append(BackendUse(backend, int(results)))
    return dict(found)
