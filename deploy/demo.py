"""`make demo`: copy the sample slides into the drop folder as an analyser would - file by file, in pieces."""

import sys
import time
from pathlib import Path
from typing import Final

from smear import shipped
from smear.settings import load_settings


#: One slide is written in about this long.
SLIDE_SECONDS: Final = 4.0
#: The service may still be starting; a slide that waits for it is found by its first scan.
START_SECONDS: Final = 3.0


def copy_slide(slide: Path, drop: Path, seconds: float) -> None:
    """Write a slide's pictures one after the other, each in two pieces, over so many seconds."""
    target = drop / slide.name
    target.mkdir(parents=True, exist_ok=True)
    pictures = sorted(slide.iterdir())
    for picture in pictures:
        data = picture.read_bytes()
        with (target / picture.name).open("wb") as file:
            file.write(data[: len(data) // 2])
            file.flush()
            time.sleep(seconds / max(len(pictures), 1))
            file.write(data[len(data) // 2 :])


def main() -> int:
    """Copy each sample slide into the first source's drop folder."""
    drop = load_settings(recorded=False).sources[0].root
    time.sleep(START_SECONDS)
    for slide in sorted(p for p in shipped.folder("samples").iterdir() if p.is_dir()):
        print(f"demo     | copying {slide.name} into {drop}", flush=True)  # noqa: T201 - the terminal of `make demo`
        copy_slide(slide, drop, SLIDE_SECONDS)
    print("demo     | three slides copied; see `worker results`", flush=True)  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main())
