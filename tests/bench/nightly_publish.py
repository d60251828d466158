"""`make nightly-publish`: the nights' figures as docs/measurements/nightly.json, each promise beside what was measured.

Reads demo-pbc.json, demo-chula.json, campaign.json and load.json of var/nightly-demo, as far as they are there; what is
not there is told as not measured, and no promise is called kept that was not.
"""

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from smear.differential import exact_limits


PROJECT = Path(__file__).resolve().parents[2]
PARTS = {"month_pbc": "demo-pbc", "month_chula": "demo-chula", "poisoned": "campaign", "load": "load"}


def main() -> None:
    """Read, hold against what was promised, write, and say it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=PROJECT / "var" / "nightly-demo")
    parser.add_argument("--to", type=Path, default=PROJECT / "docs" / "measurements" / "nightly.json")
    asked = parser.parse_args()
    found = {}
    for part, name in PARTS.items():
        path = asked.out / f"{name}.json"
        found[part] = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None
    told = published(found)
    asked.to.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
    for one in told["promises"]:
        kept = {True: "kept", False: "NOT KEPT", None: "not measured"}[one["kept"]]
        print(f"{kept:12}  {one['promise']}: {one['measured']}")


def published(found: dict[str, Any]) -> dict[str, Any]:
    """`promises` first, then every figure as it was measured."""
    poisoned, load = found["poisoned"], found["load"]
    month = (found["month_pbc"] or {}).get("summary")  # not there before the month is over
    told = [
        _promise("base class average in the laboratory, 0.70 to 0.90", month, lambda m: m["lab_before"],
                 lambda x: 0.70 <= x <= 0.90),
        _promise("points gained there after 10 nights, at least 8", month,
                 lambda m: m["rise_after_10_points"], lambda x: x >= 8),
        _promise("points ever lost on the base hold-out, at most 0.5", month,
                 lambda m: m["base_deepest_fall_points"], lambda x: x <= 0.5),
    ]  # fmt: skip
    for kind, words, holds in (
        ("wrong", "share of nights refused with 20 % wrong labels, at least 0.95 of 20", lambda x: x >= 0.95),
        ("relabelled", "share of nights refused with one type relabelled, at least 0.95 of 20", lambda x: x >= 0.95),
        ("clean", "share of clean nights refused, at most 0.10 of 20", lambda x: x <= 0.10),
    ):
        of_kind = None if poisoned is None else poisoned["kinds"].get(kind)
        enough = of_kind if of_kind and of_kind["nights"] >= 20 else None
        one = _promise(words, enough, lambda k: k["refused"] / k["nights"], holds)
        if of_kind:
            low, high = exact_limits(of_kind["refused"], of_kind["nights"])
            one |= {"nights": of_kind["nights"], "ci95": [round(low / 100, 4), round(high / 100, 4)]}
        told.append(one)
    told += [
        _promise("minutes of a night with 500 new labels, at most 20", load,
                 lambda x: round(x["night_seconds"] / 60, 2), lambda x: x <= 20),
        _promise("share by which slides are slower meanwhile, at most 0.10", load,
                 lambda x: x["slides"]["slower"], lambda x: x <= 0.10),
    ]  # fmt: skip
    return {"promises": told} | found


def _promise(
    words: str, part: Any, figure: Callable[[Any], float | None], holds: Callable[[float], bool]
) -> dict[str, Any]:
    measured = None if part is None else figure(part)
    return {"promise": words, "measured": measured, "kept": None if measured is None else holds(measured)}


if __name__ == "__main__":
    main()
