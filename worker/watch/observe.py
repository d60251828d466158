"""File system events as hints: they wake a look at a slide, and losing every one of them loses nothing."""

import logging
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
    DirCreatedEvent,
    DirDeletedEvent,
    DirMovedEvent,
    FileClosedEvent,
    FileCreatedEvent,
    FileDeletedEvent,
    FileModifiedEvent,
    FileMovedEvent,
    FileSystemEvent,
    FileSystemEventHandler,
)
from watchdog.observers import Observer
from watchdog.observers.api import BaseObserver

from smear.layout import Layout


log: Final = structlog.get_logger()

ObserverKind = Literal["auto", "native", "polling", "none"]

#: Where the kernel tells nothing, the root's time and the latest slides are looked at this often.
POLL_SECONDS: Final = 1.0
#: A start that takes longer goes on aside, so that lease and scan need not wait for it.
START_SECONDS: Final = 2.0
#: Who says that the kernel's queue ran over: watchdog has no event for it.
_OVERFLOW_LOG: Final = "watchdog.observers.inotify_c"
#: On these the kernel tells nothing of what other hosts write (watchdog issues 409 and 668).
_NETWORK: Final = frozenset(
    {"nfs", "nfs4", "cifs", "smb2", "smb3", "smbfs", "9p", "afs", "ceph", "glusterfs", "lustre", "davfs", "ncpfs"}
)
#: All that is asked of the kernel: looking into a folder and reading a picture make events too, and ten thousand
#: folders looked at would fill its queue.
_ASKED: Final[list[type[FileSystemEvent]]] = [
    DirCreatedEvent, DirDeletedEvent, DirMovedEvent, FileCreatedEvent, FileDeletedEvent, FileModifiedEvent,
    FileMovedEvent, FileClosedEvent,
]  # fmt: skip
#: Answering others would wake us by our own work.
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


class _Overflows(logging.Handler):
    """Hears that events were lost."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.heard = threading.Event()

    def emit(self, record: logging.LogRecord) -> None:
        if "overflow" in record.getMessage():
            self.heard.set()


class _Starting(threading.Thread):
    """Starts an observer aside: a watch for each of a hundred thousand folders takes the kernel a while."""

    def __init__(self, root: Path, handler: FileSystemEventHandler) -> None:
        super().__init__(name="observe", daemon=True)
        self._root, self._handler = os.fspath(root), handler
        self.observer: BaseObserver | None = None
        self.refused, self.wanted = "", True

    def run(self) -> None:
        """Start; where it is wanted no longer, stop again."""
        try:
            observer: BaseObserver = Observer()
            observer.schedule(self._handler, self._root, recursive=True, event_filter=_ASKED)
            observer.start()
        except OSError as error:
            self.refused = error.strerror or str(error)
            return
        self.observer = observer
        if not self.wanted:
            observer.stop()


class Observing:
    """Observes one root for as long as it is there; a root that goes and comes back is observed anew.

    `polling` delivers no events: it asks the watcher to look often at little (watchdog's own polling would keep every
    file of an archive in memory, and ask for each every second).
    """

    def __init__(self, root: Path, layout: Layout, kind: ObserverKind) -> None:
        self.wakes = Wakes()
        self._root, self._layout = root, layout
        self._kind = kind if kind != "auto" else "polling" if on_network(root) else "native"
        self._observer: BaseObserver | None = None
        self._starting: _Starting | None = None
        self._overflows: _Overflows | None = None
        self._root_identity: tuple[int, int] | None = None

    @property
    def kind(self) -> str:
        """What wakes the watcher now: native, polling, or none, where only the periodic scan finds things."""
        if self._kind == "polling" and self._root_identity is not None:
            return "polling"
        return self._kind if self._observer is not None else "none"

    def step(self) -> bool:
        """See that events flow; True where they have only just begun to, so that a full scan is due."""
        identity = identity_of(self._root)
        if self._observer is not None and identity == self._root_identity and _alive(self._observer):
            if self._overflows is None or not self._overflows.heard.is_set():
                return False
            self._overflows.heard.clear()
            log.warning("events were lost: all is compared", drop=str(self._root))
            return True
        if self._starting is not None and identity == self._root_identity:
            return self._adopt()  # what happened while it started, only a scan finds
        died = self._observer is not None
        begun = identity is not None and (died or identity != self._root_identity)
        self.stop()
        self._root_identity = identity
        if identity is not None and self._kind == "native":
            self._starting = _Starting(self._root, _Handler(self._root, self._layout, self.wakes))
            self._starting.start()
            self._starting.join(START_SECONDS)
            self._adopt()
        return begun

    def _adopt(self) -> bool:
        """Whether the observer that is being started has come up."""
        if self._starting is None or self._starting.is_alive():
            return False
        started, self._starting = self._starting, None
        if started.observer is None:
            # Out of inotify watches, say: asking again every second would not make more of them.
            self._kind = "polling"
            log.warning(
                "the kernel refuses to tell of changes: the folder is polled instead",
                drop=str(self._root),
                reason=started.refused,
                cure="raise fs.inotify.max_user_watches and max_user_instances, then restart",
            )
            return False
        self._overflows = _Overflows()
        logging.getLogger(_OVERFLOW_LOG).addHandler(self._overflows)
        self._observer = started.observer
        return True

    def stop(self) -> None:
        """Let the observer's threads go."""
        if self._starting is not None:
            self._starting.wanted = False
            self._starting = None
        if self._overflows is not None:
            logging.getLogger(_OVERFLOW_LOG).removeHandler(self._overflows)
            self._overflows = None
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
