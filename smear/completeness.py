"""Completeness: how many pictures of a slide came, against the number that its analyser announced."""

from dataclasses import dataclass


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
