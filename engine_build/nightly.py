"""Stage `build` of a night: the challenger compiled as the champion is here, verified, and timed beside it."""

import shutil
import statistics
from pathlib import Path
from typing import Any, Final

import numpy as np
from sqlmodel import select

from engine_build.agreement import compare
from engine_build.build import Bench, build
from engine_build.calibration import pictures
from engine_build.reference import anchored_logits
from engine_build.verification import by_turn
from smear import bundle, runs
from smear.bundle import Bundle
from smear.lease import Lease
from smear.plain import PlainError
from smear.runs import OF_A_NIGHT
from smear.settings import Settings
from smear.store import Store
from smear.tables import BundleRow
from worker.engines.face import Engine, Images
from worker.engines.forms import StoredForm, forms_folder, stored_forms
from worker.engines.openvino import OpenVinoEngine
from worker.engines.select import of_precision, open_engine, unfit


#: Pictures that the engine without a compiled form is verified on; compiled forms are on all of the hold-out.
_SOME: Final = 120
#: The networks have one shape, so a challenger that seems slower is timed again, at most so often.
_TRIES: Final = 3
_EVEN: Final = 0.95
#: Of nine turns the second least and the second greatest enclose the median with 96 %, however turns are distributed.
_TURNS: Final = 9


class NotThere(PlainError):
    """What the earlier stages left is not there any more."""


def build_night(store: Store, settings: Settings, night: str) -> bool:
    """Do the stage where it is next; whether the night goes on. Raises Held, Lost."""
    with Lease(store, runs.LEASE, settings.lease_seconds) as lease:
        with store.read() as session:
            row = runs.next_stage(runs.stages(session, night))
        if row is None or row.stage != "build":
            return row is not None
        return runs.do(store, lease, night, "build", lambda: _build(store, settings, night))


def _build(store: Store, settings: Settings, night: str) -> dict[str, Any]:
    told = runs.told(store, night)["train"]
    challenger = bundle.load(settings.models_folder / f".night-{night}" / told["folder"])
    sweep(store, settings.engines_folder, challenger)
    champion = _registered(store, settings.models_folder, told["champion"])
    chosen = pictures(challenger, None, None)
    reference = anchored_logits(challenger, chosen.verification.images)
    plain = OpenVinoEngine(challenger.network, 1)
    bench = Bench(challenger, settings.engines_folder, chosen, reference, plain, lambda _: None)
    wanted = of_precision(in_use(settings.engines_folder, champion), settings.precision)
    forms = [build(bench, one.form.backend, one.form.precision) for one in wanted]
    some = slice(0, None, max(1, len(reference) // _SOME))
    judged = chosen.verification
    agreement = compare(
        plain,
        reference[some],
        np.ascontiguousarray(judged.images[some]),
        judged.labels[some],
        challenger.manifest.calibration.temperature,
    )
    engines = [
        open_engine(one, settings.engine, 1, settings.engines_folder, settings.precision)
        for one in (champion, challenger)
    ]
    before, after = _speeds(engines, chosen.verification.images)
    shares = sorted(b / a for a, b in zip(before, after, strict=True))
    return {
        "engine": engines[1].name,
        "reasons": agreement.failures(challenger.manifest.limits),
        "forms": [_told(form) for form in forms],
        "images_per_second": {"champion": max(before), "challenger": max(after)},
        "turns": [statistics.median(shares), shares[1], shares[-2]],
    }


def sweep(store: Store, engines: Path, challenger: Bundle) -> None:
    """Remove compiled forms of nights' challengers that never became bundles, and what a killed build left of this one.

    Called under the nights' lease: nobody else builds for a challenger.
    """
    with store.read() as session:
        known = set(session.exec(select(BundleRow.bundle_id)))
    for folder in engines.glob(f"{OF_A_NIGHT}*@*"):
        if folder.name not in known | {challenger.bundle_id}:
            shutil.rmtree(folder, ignore_errors=True)
    for left in forms_folder(engines, challenger).glob(".*"):
        shutil.rmtree(left, ignore_errors=True)


def _speeds(engines: list[Engine], images: Images) -> list[list[float]]:
    """Pictures a second of both by turn; asked again where other work on the host seems to have come between."""
    found: list[list[list[float]]] = []
    for _ in range(_TRIES):
        found.append(by_turn(engines, images, turns=_TURNS))
        if _best_share(found[-1]) >= _EVEN:
            break
    return max(found, key=_best_share)


def _best_share(speeds: list[list[float]]) -> float:
    return max(speeds[1]) / max(speeds[0])


def in_use(engines: Path, champion: Bundle) -> list[StoredForm]:
    """The champion's compiled forms that serve on this host: what the challenger needs as well."""
    return [
        one
        for one in stored_forms(engines, champion)
        if isinstance(one, StoredForm) and one.form.serves and (one.form.backend == "tensorrt" or unfit(one) is None)
    ]


def _told(stored: StoredForm) -> dict[str, Any]:
    found = stored.form.verification
    return {
        "name": stored.form.name,
        "reasons": list(found.reasons) if found else [f"{stored.form.name} was built and not run"],
        "type_agreement": found.type_agreement if found else None,
        "largest_difference": found.largest_difference if found else None,
        "images_per_second": found.images_per_second if found else None,
    }


def _registered(store: Store, models: Path, bundle_id: str) -> Bundle:
    with store.read() as session:
        row = session.exec(select(BundleRow).where(BundleRow.bundle_id == bundle_id)).one_or_none()
    if row is None:
        raise NotThere(f"the champion {bundle_id} of this night is gone")
    return bundle.load(models / row.folder)
