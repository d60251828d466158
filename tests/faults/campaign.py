"""`make faults`: play every part, hold the database against the ground truth, write var/faults.json.

A part that was done is not done again: `PART=name` asks for one by name, done or not, `AGAIN=1` for all. `SCALE=short`
plays the short forms, as the tests do; a number between 0 and 1 plays that share of the long form. Slides are laid down
in the temporary folder, or in FAULTS_TMP: the long form takes 6 GB and a million files.
"""

import argparse
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any


PROJECT = Path(__file__).resolve().parents[2]
sys.path[0] = str(PROJECT)
sys.path.append(str(PROJECT / "tests"))

from bench.host import commit, machine  # noqa: E402 - the folder of tests has to be known first
from faults.all_parts import ALL  # noqa: E402
from faults.counterproofs import COUNTERPROOFS, Counterproof  # noqa: E402
from faults.ground_truth import Pool  # noqa: E402
from faults.part import CannotPlay, Part  # noqa: E402
from faults.stage import Stage  # noqa: E402


#: Slides and pictures a slide of the pool that parts copy from.
POOL = {"short": (24, 14), "full": (120, 24)}


def sizes_of(part: Part, scale: str) -> Mapping[str, float]:
    """The part's numbers at this scale: `full`, `short`, or a share of the long form, at least the short one."""
    if scale == "full":
        return part.full
    if scale == "short":
        return part.short
    share = float(scale)
    return {name: max(part.short[name], number * share) for name, number in part.full.items()}


class Report:
    """var/faults.json: read at the start, written anew after each part."""

    def __init__(self, file: Path) -> None:
        self._file = file
        told = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
        self.parts: list[dict[str, Any]] = told.get("parts", [])
        self.counterproofs: list[dict[str, Any]] = told.get("counterproofs", [])

    def done(self, name: str, scale: str) -> bool:
        """Whether a part was played at this scale, on this commit, and came out right."""
        wanted = (name, scale, True, commit())
        return any((one["name"], one["scale"], one["right"], one["commit"]) == wanted for one in self.parts)

    def proved(self, off: str) -> bool:
        """Whether it was shown, on this commit, what happens without this protection."""
        wanted = (off, True, True, commit())
        found = [(one["off"], one["failed"], one["for_its_reason"], one["commit"]) for one in self.counterproofs]
        return wanted in found

    def put(self, kind: str, key: str, one: dict[str, Any]) -> None:
        """Keep what a part came to, in the place of what it came to before; the file is whole at any time."""
        kept = [other for other in getattr(self, kind) if other[key] != one[key]]
        setattr(
            self, kind, [*kept, one | {"commit": commit(), "date": datetime.now(UTC).isoformat(timespec="seconds")}]
        )
        told = {"machine": machine(), "parts": self.parts, "counterproofs": self.counterproofs}
        self._file.parent.mkdir(exist_ok=True)
        new = self._file.with_suffix(".new")
        new.write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")
        new.replace(self._file)


def _play_parts(stage: Stage, report: Report, wanted: list[Part], scale: str, again: bool) -> bool:
    right = True
    for part in wanted:
        if not again and report.done(part.name, scale):
            print(f"{part.name}: done before", flush=True)
            continue
        print(f"{part.name}: {part.sentence} ...", flush=True)
        try:
            outcome = stage.play(part, sizes_of(part, scale))
        except CannotPlay as error:
            print(f"  left out: {error}", flush=True)
            report.put("parts", "name", {"name": part.name, "scale": scale, "right": False, "left_out": str(error)})
            continue
        told = outcome.to_object(part.name) | {"scale": scale}
        report.put("parts", "name", told)
        right &= outcome.right
        print(f"  {_in_words(told)}", flush=True)
        for problem in told["problems"]:
            print(f"  ! {problem}", flush=True)
    return right


def _play_counterproofs(stage: Stage, report: Report, wanted: list[Counterproof], again: bool) -> bool:
    right = True
    for proof in wanted:
        if not again and report.proved(proof.off):
            print(f"without {proof.off}: shown before", flush=True)
            continue
        print(f"without {proof.off}: {proof.reason} ...", flush=True)
        told = proof.to_object(proof.play(stage))
        report.put("counterproofs", "off", told)
        shown = told["failed"] and told["for_its_reason"]
        right &= shown
        print(f"  {'failed, as it must' if shown else 'DID NOT FAIL'}: {_in_words(told)}", flush=True)
    return right


def _in_words(told: Mapping[str, Any]) -> str:
    acted = ", ".join(f"{name} {times}" for name, times in told["acted"].items()) or "nothing"
    return (
        f"{told['injected']} injected, {told['slides']} slides: {told['missing']} missing, {told['twice']} twice, "
        f"{told['wrong']} wrong; acted: {acted}; {told['seconds']} s"
    )


def main() -> int:
    """Play what is asked for; 0 where all of it came out right."""
    parser = argparse.ArgumentParser(description=__doc__)
    names = [part.name for part in ALL] + [f"without-{proof.off}" for proof in COUNTERPROOFS]
    parser.add_argument("--part", action="append", choices=names, metavar="NAME", help=f"one of {', '.join(names)}")
    parser.add_argument("--scale", default="full")
    parser.add_argument("--again", action="store_true")
    parser.add_argument("--patience", type=float, default=1.0, help="how many times slower than a quiet machine")
    asked = parser.parse_args([a for a in sys.argv[1:] if a])
    report = Report(PROJECT / "var" / "faults.json")
    again = asked.again or bool(asked.part)
    folder = Path(tempfile.mkdtemp(prefix="wnet-faults-", dir=os.environ.get("FAULTS_TMP")))
    pool = Pool(PROJECT / "var" / "faults" / "pool-{}x{}".format(*_pool(asked.scale)), *_pool(asked.scale))
    stage = Stage(folder, pool, patience=asked.patience)
    right = False
    try:
        wanted = [part for part in ALL if not asked.part or part.name in asked.part]
        proofs = [proof for proof in COUNTERPROOFS if not asked.part or f"without-{proof.off}" in asked.part]
        right = _play_parts(stage, report, wanted, asked.scale, again)
        right = _play_counterproofs(stage, report, proofs, again) and right
    except KeyboardInterrupt:
        print("broken off: the same command goes on where it was", flush=True)
    finally:
        stage.close()
        if right:
            shutil.rmtree(folder, ignore_errors=True)
        else:
            print(f"what was left of it: {folder}", flush=True)
    return 0 if right else 1


def _pool(scale: str) -> tuple[int, int]:
    return POOL["short" if scale == "short" else "full"]


if __name__ == "__main__":
    sys.exit(main())
