"""A line in the audit where a host begins to serve with another engine or precision than before."""

import socket
from typing import Any, Final

from sqlmodel import Session, col, select

from smear.audit import Actor, append
from smear.report import engine_and_precision
from smear.review_tables import AuditHeadRow, AuditRow
from smear.store import Store
from smear.tables import DifferentialRow


ACTION: Final = "precision"
#: What serves unless someone chooses otherwise: the first results of a service are no change.
_REFERENCE: Final = "openvino-fp32"


def note_engine(store: Store, bundle_id: str, backend: str, host: str = "") -> bool:
    """Append a line where this host's last known engine was another; whether there was one to append.

    `backend` is the engine's name, such as "openvino-int8". Any number of processes may start at once: the audit's
    head is locked before the last line is read, so that the change stands there once. Raises StoreUnavailable.
    """
    who = f"worker on {(host or socket.gethostname())[:50]}"
    after = _parts(backend)
    with store.read() as session:
        if _last(session, who) == after:
            return False
    with store.write() as session:
        session.exec(select(AuditHeadRow).where(AuditHeadRow.id == 1).with_for_update()).one()
        before = _last(session, who)
        if before == after:
            return False
        append(session, Actor(None, who, "program"), ACTION, before=before, after=after, bundle=bundle_id)
        return True


def _last(session: Session, who: str) -> dict[str, Any]:
    """The engine this host served with last: its own line, else the latest result of any host, else the reference."""
    line = session.exec(
        select(AuditRow)
        .where(AuditRow.action == ACTION, AuditRow.who == who)
        .order_by(col(AuditRow.number).desc())
        .limit(1)
    ).first()
    if line is not None:
        return line.after or {}
    latest = session.exec(select(DifferentialRow.backend).order_by(col(DifferentialRow.id).desc()).limit(1)).first()
    return _parts(latest or _REFERENCE)


def _parts(backend: str) -> dict[str, Any]:
    engine, precision = engine_and_precision(backend)
    return {"engine": engine, "precision": precision}
