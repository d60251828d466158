"""Bad habits of those who write slides: each leaves one slide in the drop folder, in its own way.

A habit is called with the pictures (name -> bytes) of one slide, the slide's folder, which is not there yet, and
`pause`, which sleeps for a moment shorter than a slide takes to settle.
"""

import os
import threading
import unicodedata
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final


Pictures = Mapping[str, bytes]
Habit = Callable[[Pictures, Path, Callable[[], None]], None]


def in_chunks_with_pauses(pictures: Pictures, folder: Path, pause: Callable[[], None]) -> None:
    """4 KB at a time; now and then nothing for a while, in the middle of a file."""
    folder.mkdir()
    for n, (name, data) in enumerate(pictures.items()):
        with (folder / name).open("wb", buffering=0) as out:
            for start in range(0, len(data), 4096):
                if n % 4 == 0 and start == 4096:
                    pause()
                out.write(data[start : start + 4096])


def back_to_front(pictures: Pictures, folder: Path, pause: Callable[[], None]) -> None:
    """The end of each file first: its end marker is there long before its middle."""
    folder.mkdir()
    for n, (name, data) in enumerate(pictures.items()):
        half = len(data) // 2
        with (folder / name).open("wb", buffering=0) as out:
            out.seek(half)
            out.write(data[half:])
            if n % 4 == 0:
                pause()
            out.seek(0)
            out.write(data[:half])


def allocated_ahead(pictures: Pictures, folder: Path, pause: Callable[[], None]) -> None:
    """Every file at its full size from the start, full of zeros; filled later."""
    folder.mkdir()
    for name, data in pictures.items():
        with (folder / name).open("wb") as out:
            out.truncate(len(data))
    pause()
    for n, (name, data) in enumerate(pictures.items()):
        with (folder / name).open("r+b", buffering=0) as out:
            out.write(data[: len(data) // 2])
            if n % 5 == 0:
                pause()
            out.write(data[len(data) // 2 :])


def under_another_name_first(pictures: Pictures, folder: Path, pause: Callable[[], None]) -> None:
    """Each file under a temporary name, then renamed."""
    folder.mkdir()
    for n, (name, data) in enumerate(pictures.items()):
        part = folder / f"{name}.part"
        part.write_bytes(data[: len(data) // 2])
        if n % 5 == 0:
            pause()
        part.write_bytes(data)
        part.rename(folder / name)


def folder_renamed_at_the_end(pictures: Pictures, folder: Path, pause: Callable[[], None]) -> None:
    """The whole slide in a hidden folder, which then gets its name."""
    hidden = folder.with_name(f".{folder.name}")
    hidden.mkdir()
    for name, data in pictures.items():
        (hidden / name).write_bytes(data)
    pause()
    hidden.rename(folder)


def marker_first(pictures: Pictures, folder: Path, pause: Callable[[], None]) -> None:
    """`.complete` before any picture; then the pictures, none of them slowly."""
    folder.mkdir()
    (folder / ".complete").touch()
    for name, data in pictures.items():
        (folder / name).write_bytes(data)


def two_writers(pictures: Pictures, folder: Path, pause: Callable[[], None]) -> None:
    """Two at once, each with every other picture, and the same one twice over with the same bytes."""
    folder.mkdir()
    names = list(pictures)

    def write(mine: list[str]) -> None:
        for n, name in enumerate(mine):
            (folder / name).write_bytes(pictures[name])
            if n % 4 == 0:
                pause()

    both = [threading.Thread(target=write, args=(names[n::2] + names[:1],)) for n in (0, 1)]
    for one in both:
        one.start()
    for one in both:
        one.join()


def names_of_every_kind(pictures: Pictures, folder: Path, pause: Callable[[], None]) -> None:
    """Case, spaces, both forms of an umlaut, the longest name there is, bytes that are no UTF-8."""
    folder.mkdir()
    umlaut = "Präparat.jpg"
    odd: list[bytes] = [
        b"CELL_0001.JPG", b"cell_0001.jpg", b" leading space.jpg", b"two  spaces.Jpeg", b"new\nline.jpg",
        unicodedata.normalize("NFC", umlaut).encode(), unicodedata.normalize("NFD", umlaut).encode(),
        "細胞.jpg".encode(), "😀.jpg".encode(), b"n" * 251 + b".jpg", b"caf\xe9.jpg", b"back\\slash.jpg", b"-rf.jpg",
        b"per%cent;semi'quote\".jpg",
    ]  # fmt: skip
    for name, data in zip(odd, pictures.values(), strict=False):
        (Path(os.fsdecode(os.fsencode(folder) + b"/" + name))).write_bytes(data)


def copied_twice(pictures: Pictures, folder: Path, pause: Callable[[], None]) -> None:
    """The same bytes again over files that are there."""
    folder.mkdir()
    for _ in range(2):
        for name, data in pictures.items():
            (folder / name).write_bytes(data)
        pause()


def count_announced(pictures: Pictures, folder: Path, pause: Callable[[], None]) -> None:
    """`slide.json` with the number of cells, written first; the last picture comes late."""
    folder.mkdir()
    (folder / "slide.json").write_text(f'{{"expected_cells": {len(pictures)}}}')
    for n, (name, data) in enumerate(pictures.items()):
        if n == len(pictures) - 1:
            pause()
        (folder / name).write_bytes(data)


def files_that_are_no_pictures(pictures: Pictures, folder: Path, pause: Callable[[], None]) -> None:
    """A thumbnail database, a log, a folder of the analyser's own, files that come and go."""
    folder.mkdir()
    (folder / "Thumbs.db").write_bytes(b"\0" * 4096)
    (folder / "thumbs").mkdir()
    (folder / "thumbs" / "cell.jpg").write_bytes(b"small")
    for n, (name, data) in enumerate(pictures.items()):
        passing = folder / f"~{n}.tmp"
        passing.write_bytes(data[:100])
        (folder / name).write_bytes(data)
        passing.unlink()


#: All of them: what they leave is one revision, whole.
HABITS: Final[tuple[Habit, ...]] = (
    in_chunks_with_pauses, back_to_front, allocated_ahead, under_another_name_first, folder_renamed_at_the_end,
    marker_first, two_writers, names_of_every_kind, copied_twice, count_announced, files_that_are_no_pictures,
)  # fmt: skip


# --- what happens to a slide that is finished already -------------------------------------------------------------


def late_file(folder: Path, other: bytes) -> None:
    """One picture more."""
    (folder / "late.jpg").write_bytes(other)


def rewritten_with_its_old_time(folder: Path, other: bytes) -> None:
    """The same name and size, other bytes, and the time it had before: only ctime and the content tell."""
    file = min(folder.glob("*.jpg"))
    before = file.stat()
    data = other[: before.st_size].ljust(before.st_size, b"\0")
    with file.open("r+b") as out:
        out.write(data)
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))


def replaced_by_a_rename(folder: Path, other: bytes) -> None:
    """Another file put in a picture's place."""
    file = max(folder.glob("*.jpg"))
    new = folder / "new.tmp"
    new.write_bytes(other)
    new.rename(file)


#: Each opens exactly one more revision.
AFTERTHOUGHTS: Final = (late_file, rewritten_with_its_old_time, replaced_by_a_rename)
