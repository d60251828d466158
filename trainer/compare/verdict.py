"""Whether a difference between two runs is real, in one sentence."""

from dataclasses import dataclass
from typing import Any, Final

from trainer.compare.mcnemar import McNemar
from trainer.resample import Interval


LEVEL: Final = 0.05


@dataclass(frozen=True)
class Shift:
    """One figure of both runs in per cent, and second minus first in points with 95 % limits."""

    first: float
    second: float
    difference: Interval

    def as_json(self) -> dict[str, Any]:
        """Rounded to a thousandth."""
        return {
            "first": round(self.first, 3), "second": round(self.second, 3), "difference": self.difference.as_json(),
        }  # fmt: skip


def verdict(first: str, second: str, average: Shift, accuracy: Shift, test: McNemar) -> str:
    """One sentence on whether the second run is really different; real is what interval and test both see."""
    points = average.difference
    limits = f"{points.value:+.1f} points of class average (95 % {points.low:+.1f} to {points.high:+.1f})"
    average_moved, accuracy_moved = points.without_zero, test.p < LEVEL
    if test.only_first + test.only_second == 0:
        return f"{second} and {first} are right on the very same cells: there is no difference."
    if average_moved and accuracy_moved:
        if points.value * accuracy.difference.value < 0:
            return (
                f"{second} differs from {first}, and not in one direction: {limits}, but"
                f" {accuracy.difference.value:+.1f} points of accuracy (McNemar {p_text(test.p)})."
            )
        better = "better" if points.value > 0 else "worse"
        return f"{second} is really {better} than {first} on these cells: {limits}, McNemar {p_text(test.p)}."
    if average_moved or accuracy_moved:
        return (
            f"Whether {second} differs from {first} is not settled: {limits}, McNemar {p_text(test.p)};"
            " only one of the two tells them apart."
        )
    return f"No real difference between {second} and {first} can be told: {limits}, McNemar {p_text(test.p)}."


def p_text(p: float) -> str:
    """A p value as it is read: p = 0.034, p < 0.001."""
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}"
