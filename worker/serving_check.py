"""Why slides wait for a bundle or an engine: what workers wrote down, and what this host sees of the serving bundle."""

from collections.abc import Mapping
from typing import Any

from sqlmodel import Session, col, select

from smear import bundle as bundles
from smear.bundle import BadBundle
from smear.settings import Settings
from smear.tables import BundleRow, ServingRow
from worker import waiting


def why_slides_wait(session: Session, told: Mapping[str, Any], settings: Settings) -> list[str]:
    """Sentences for `needs_attention`; none where no slide waits.

    Workers may run on other hosts, so their own words come first. Where they said nothing and nothing is being worked
    on, this host reads the bundle that serves.
    """
    if not told["backlog"]:
        return []
    if said := waiting.reasons(session):
        return [f"{_slides(n)} for a worker that can serve: {reason}" for reason, n in said]
    if told["working_on"]:
        return []
    problem = _bundle_problem(session, settings)
    return (
        [f"{_slides(told['backlog'])}, and this host cannot use the bundle that serves: {problem}"] if problem else []
    )


def _slides(n: int) -> str:
    return "1 slide waits" if n == 1 else f"{n} slides wait"


def _bundle_problem(session: Session, settings: Settings) -> str | None:
    row = session.exec(select(BundleRow).join(ServingRow, col(ServingRow.bundle) == col(BundleRow.id))).one_or_none()
    if row is None:
        return "none serves yet: run `worker migrate` (or `make run`)"
    try:
        found = bundles.load(settings.models_folder / row.folder)
    except BadBundle as error:
        return str(error)
    if found.bundle_id != row.bundle_id:
        return f"{found.folder} holds {found.bundle_id}, but {row.bundle_id} serves: copy it again"
    return None
