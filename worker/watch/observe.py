"""File system events as hints: they wake a look at a slide, and losing every one of them loses nothing."""

import os
import threading
from pathlib import Path
from typing import Final, Literal

import structlog
from watchdog.events import (
    EVENT_TYPE_CLOSED,
    EVENT_TYPE_CREATED,
    EVENT_TYPE_DELETED,
    EVENT_TYPE_MODIFIED,
    EVENT_TYPE_MOVED,
    FileSystemEvent,
    FileSystemEventHandler,
)
from watchdog.observers import Observer
from watchdog.observers.api import BaseObserver
from watchdog.observers.polling import PollingObserver

from smear.layout import Layout


log: Final = structlog.get_logger()

ObserverKind = Literal["auto", "native", "polling", "none"]

POLL_SECONDS: Final = 1.0
#: On these the kernel tells nothing of what other hosts write (watchdog issues 409 and 668).
_NETWORK: Final = frozenset(
    {"nfs", "nfs4", "cifs", "smb2", "smb3", "smbfs", "9p", "afs", "ceph", "glusterfs", "lustre", "davfs", "ncpfs"}
)
#: Reading a picture makes events too; answering those would wake us by our own work.
_WRITES: Final = frozenset(
    {EVENT_TYPE_CREATED, EVENT_TYPE_MODIFIED, EVENT_TYPE_MOVED, EVENT_TYPE_DELETED, EVENT_TYPE_CLOSED}
)


class Wakes:
    """Slides that something happened to, collected from observer threads and taken by the watcher."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._slides: set[tuple[str, str]] = set()

    def add(self, slide: tuple[str, str]) -> None:
        """Something happened to (slide_id, folder)."""
        with self._lock:
            self._slides.add(slide)

    def take(self) -> set[tuple[str, str]]:
        """All that were woken since the last time."""
        with self._lock:
            taken, self._slides = self._slides, set()
            return taken


class _Handler(FileSystemEventHandler):
    def __init__(self, root: Path, layout: Layout, wakes: Wakes) -> None:
        self._root, self._layout, self._wakes = os.fspath(root), layout, wakes

    def on_any_event(self, event: FileSystemEvent) -> None:
        if event.event_type not in _WRITES:
            return
        for path in (event.src_path, event.dest_path):
            name = os.fsdecode(path)
            if name.startswith(self._root + os.sep):
                slide = self._layout.slide_of(name[len(self._root) + 1 :])
                if slide is not None:
                    self._wakes.add(slide)


class Observing:
    """Observes one root for as long as it is there; a root that goes and comes back is observed anew."""

    def __init__(self, root: Path, layout: Layout, kind: ObserverKind) -> None:
        self.wakes = Wakes()
        self._root, self._layout = root, layout
        self._kind = kind if kind != "auto" else "polling" if on_network(root) else "native"
        self._observer: BaseObserver | None = None
        self._root_identity: tuple[int, int] | None = None
        self._refused = False

    @property
    def kind(self) -> str:
        """What delivers events now: native, polling, or none, where only the periodic scan finds things."""
        return self._kind if self._observer is not None else "none"

    def step(self) -> bool:
        """See that events flow; True where they have only just begun to, so that a full scan is due."""
        identity = identity_of(self._root)
        if self._observer is not None and identity == self._root_identity and _alive(self._observer):
            return False
        died = self._observer is not None
        begun = identity is not None and (died or identity != self._root_identity)
        self.stop()
        self._root_identity = identity
        if identity is not None and self._kind != "none" and not self._refused:
            self._start()
        return begun

    def _start(self) -> None:
        observer: BaseObserver = Observer() if self._kind == "native" else PollingObserver(timeout=POLL_SECONDS)
        observer.schedule(_Handler(self._root, self._layout, self.wakes), os.fspath(self._root), recursive=True)
        try:
            observer.start()
        except OSError as error:
            # Out of inotify watches, say: asking again every second would not make more of them.
            self._refused = True
            log.warning("no events: slides are found by the periodic scan", reason=str(error))
            return
        self._observer = observer

    def stop(self) -> None:
        """Let the observer's threads go."""
        if self._observer is not None:
            self._observer.stop()
            self._observer.join(timeout=5)
            self._observer = None


def _alive(observer: BaseObserver) -> bool:
    # An observer whose root vanished says that it is alive while its emitter is dead (watchdog issue 1065).
    return observer.is_alive() and all(emitter.is_alive() for emitter in observer.emitters)


def identity_of(folder: Path) -> tuple[int, int] | None:
    """Device and inode of a folder, which its name may lose to another; None where it is not there."""
    try:
        found = folder.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def on_network(path: Path, mounts: Path = Path("/proc/self/mountinfo")) -> bool:
    """Whether a path lies on a network mount, told from the kernel's table of mounts; False where there is none."""
    try:
        lines = mounts.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return False
    real = os.path.realpath(path)
    best, kind = "", ""
    for line in lines:
        left, _, right = line.partition(" - ")
        fields, details = left.split(), right.split()
        if len(fields) < 5 or not details:
            continue
        point = fields[4].replace("\\040", " ")
        inside = real == point or real.startswith(point.rstrip("/") + "/")
        if inside and len(point) >= len(best):
            best, kind = point, details[0]
    return kind in _NETWORK or kind.startswith("fuse.")
