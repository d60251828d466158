"""Completeness: how many pictures of a slide came, against the number that its analyser announced."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any


if TYPE_CHECKING:  # the database's library takes longer to load than all that a folder of pictures needs
    from smear.tables import DifferentialRow


@dataclass(frozen=True)
class Completeness:
    """What the analyser announced (`expected` cells; None where it announced nothing) and what came (`files`)."""

    expected: int | None
    files: int

    @property
    def complete(self) -> bool | None:
        """Whether every announced picture came; None where the analyser announced no number."""
        return None if self.expected is None else self.files >= self.expected

    @property
    def words(self) -> str | None:
        """Say "incomplete: 96 of 120" where pictures are missing; None where none are, or nothing was announced."""
        return f"incomplete: {self.files} of {self.expected}" if self.complete is False else None


def files_of(result: "DifferentialRow") -> int:
    """How many picture files a result was made from; of results of earlier versions, how many contents."""
    return result.total if result.files is None else result.files


def completeness(sidecar: Mapping[str, Any] | None, result: "DifferentialRow") -> Completeness:
    """The completeness of a revision with this sidecar (`RevisionRow.sidecar`), by a result of it."""
    return Completeness((sidecar or {}).get("expected_cells"), files_of(result))
