"""`fuzz.py NUMBER FIRST ZERO_TAILS`: spoilt pictures through the decoder; one JSON object comes out.

A process of its own, because a decoder that dies must not take the campaign along, and so that memory is its alone.
"""

import json
import random
import sys
from collections import Counter
from pathlib import Path
from typing import Any, Final


PROJECT: Final = Path(__file__).resolve().parents[2]
#: After so many the caches of allocator and decoders have grown as far as they will.
WARM: Final = 0.2


def main(number: int, first: int, zero_tails: int) -> dict[str, Any]:
    """Decode them all; what came of them."""
    import psutil
    from faults.ground_truth import pictures
    from faults.mutate import KINDS, as_format, mutated, zero_tail

    from smear.geometry import prepare, profile
    from smear.pictures import MisfitPicture, UnreadablePicture

    geometry = profile("di60")
    sources = [path.read_bytes() for path in random.Random(0).sample(pictures(), 40)]
    came: Counter[str] = Counter()
    faults: list[str] = []
    unexplained = 0
    sizes: list[int] = []
    process = psutil.Process()

    def try_one(what: str, data: bytes) -> str:
        nonlocal unexplained
        try:
            prepare(data, geometry)
        except (UnreadablePicture, MisfitPicture) as refusal:
            unexplained += not str(refusal).strip()
            return "refused"
        except Exception as error:  # noqa: BLE001 - whatever it is, that is the finding
            faults.append(f"{what}: {type(error).__name__}: {error}"[:200])
            return "fault"
        return "decoded"

    for n in range(first, first + number):
        kind, mutation, data = mutated(sources, n)
        came[try_one(f"{n} {kind} {mutation}", data)] += 1
        if n % 50 == 0:
            sizes.append(process.memory_info().rss)
    classified = 0
    for n in range(zero_tails):
        dice = random.Random(n)
        data = zero_tail(as_format(dice.choice(sources), KINDS[n % len(KINDS)]), dice)
        classified += try_one(f"zero tail {n}", data) == "decoded"
    warm = sizes[int(len(sizes) * WARM) :] or sizes
    return {
        "mutated": number, "came": dict(came), "faults": faults[:20], "without_a_reason": unexplained,
        "zero_tails": zero_tails, "zero_tails_decoded": classified,
        "memory_growth_mb": round((max(warm) - warm[0]) / 2**20, 1),
    }  # fmt: skip


if __name__ == "__main__":
    sys.path[0] = str(PROJECT)
    sys.path.append(str(PROJECT / "tests"))
    print(json.dumps(main(*map(int, sys.argv[1:]))))
