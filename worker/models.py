"""Which bundle serves: bundles live in WNET_MODELS, a row names the one in use, workers follow the row."""

import secrets
import shutil
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Final

import structlog
from sqlalchemy.exc import IntegrityError
from sqlmodel import col, select

from smear import bundle as bundles
from smear.bundle import MANIFEST, BadBundle, Bundle
from smear.shipped import shipped_bundle
from smear.store import Store
from smear.tables import BundleRow, ServingRow, key, utc_now
from worker.engines.face import Engine


log: Final = structlog.get_logger()


def seed(models_folder: Path) -> Path:
    """Copy the shipped bundle to where bundles live, unless it is there; its folder."""
    source = shipped_bundle()
    target = models_folder / source.name
    if not (target / MANIFEST).exists():
        models_folder.mkdir(parents=True, exist_ok=True)
        # A name of our own: another host may be copying into the same shared folder.
        temporary = models_folder / f".{source.name}.{secrets.token_hex(4)}"
        try:
            shutil.copytree(source, temporary)
            if not (target / MANIFEST).exists():
                shutil.rmtree(target, ignore_errors=True)
                temporary.rename(target)
        except OSError:
            if not (target / MANIFEST).exists():
                raise
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
    return target


def register(store: Store, bundle: Bundle) -> int:
    """The row number of a bundle, made if it is new; the first of all serves."""
    try:
        with store.write() as session:
            row = session.exec(select(BundleRow).where(BundleRow.bundle_id == bundle.bundle_id)).one_or_none()
            if row is None:
                now = utc_now()
                row = BundleRow(bundle_id=bundle.bundle_id, folder=bundle.folder.name, registered_at=now)
                session.add(row)
                session.flush()
                if session.get(ServingRow, 1) is None:
                    session.add(ServingRow(bundle=key(row.id), since=now))
            return key(row.id)
    except IntegrityError:
        return register(store, bundle)


def serving(store: Store) -> tuple[str, str] | None:
    """(bundle id, folder name) of the bundle that serves."""
    with store.read() as session:
        row = session.exec(
            select(BundleRow).join(ServingRow, col(ServingRow.bundle) == col(BundleRow.id))
        ).one_or_none()
        return None if row is None else (row.bundle_id, row.folder)


class ServingEngine:
    """The engine of whichever bundle serves. A change is followed at the next slide, without a restart.

    `stamp` changes with what an engine could be made of on this host, such as a compiled form that has come to be.
    `opened` hears the bundle's id and the engine's name before the engine serves its first slide.
    """

    def __init__(
        self,
        store: Store,
        models_folder: Path,
        open_engine: Callable[[Bundle], Engine],
        stamp: Callable[[Bundle], object] = lambda _: None,
        opened: Callable[[str, str], object] = lambda _bundle_id, _backend: None,
    ) -> None:
        self._store, self._models_folder, self._open, self._stamp = store, models_folder, open_engine, stamp
        self._opened = opened
        self._current: tuple[Bundle, Engine] | None = None
        self._made_of: object = None
        self._turn = threading.Lock()

    def get(self) -> tuple[Bundle, Engine]:
        """The bundle that serves and its engine; raises BadBundle, EngineUnavailable."""
        with self._turn:
            named = serving(self._store)
            if named is None:
                raise BadBundle("no bundle serves yet: run `worker migrate` (or `make run`)")
            bundle_id, folder = named
            if self._current is None or self._current[0].bundle_id != bundle_id:
                bundle = bundles.load(self._models_folder / folder)
                if bundle.bundle_id != bundle_id:
                    raise BadBundle(f"{bundle.folder} holds {bundle.bundle_id}, but {bundle_id} serves: copy it again")
                self._open_for(bundle)
            elif self._stamp(self._current[0]) != self._made_of:
                self._open_for(self._current[0])
            assert self._current is not None
            return self._current

    def forget(self) -> None:
        """The engine failed at its work: another is opened for the next slide, perhaps of another kind."""
        with self._turn:
            self._current = None

    def _open_for(self, bundle: Bundle) -> None:
        made_of = self._stamp(bundle)
        engine = self._open(bundle)
        self._opened(bundle.bundle_id, engine.name)
        log.info("engine ready", bundle=bundle.bundle_id, backend=engine.name)
        self._current, self._made_of = (bundle, engine), made_of
