"""Failed passwords, counted in the database for all processes: by name, by place, by address. Time is a parameter.

A count leaks: each `forgiven_seconds` takes one failure off. Up to `free` failures cost nothing; each further one makes
the next wait twice as long, up to `longest_seconds`.
"""

import hashlib
import ipaddress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlmodel import Session, col, select
from sqlmodel.sql.expression import SelectOfScalar

from smear.review_tables import AttemptRow
from smear.upsert import inserting


#: Rows that no longer count are cleared away with every attempt, so many at a time.
_SWEPT: Final = 100
#: Digits of a name's hash that are kept: someone who types a password into the name's field must not leave in the
#: database what it could be found out from. Names that share them (1 in 16 million) wait together.
_NAME_DIGITS: Final = 6


@dataclass(frozen=True)
class Growth:
    """How a lock-out grows."""

    free: int
    forgiven_seconds: float
    first_seconds: float
    longest_seconds: float

    def left(self, level: float, seconds: float) -> float:
        """What is left of a count after some seconds; a clock that was set back forgives nothing."""
        return max(0.0, level - max(0.0, seconds) / self.forgiven_seconds)

    def wait(self, level: float, seconds: float) -> float:
        """Seconds until the next attempt may be made; `level` as of the latest failure, `seconds` ago."""
        over = round(level) - self.free
        if over < 0:
            return 0.0
        whole = min(self.longest_seconds, self.first_seconds * 2.0 ** min(over, 64))
        return max(0.0, whole - max(0.0, seconds))


@dataclass(frozen=True)
class PasswordLimits:
    """How lock-outs grow, by what the failures share."""

    #: One name from one address, and one name in a browser that is known: a few slips cost nothing.
    place: Growth = Growth(6, 15 * 60, 30, 15 * 60)
    #: One name from anywhere. An address is forgiven less often than a name is, so that one address alone, which fails
    #: every 15 min at most, keeps no name locked; guesses from many addresses come to 12 an hour.
    name: Growth = Growth(12, 5 * 60, 30, 15 * 60)
    #: One address, whatever the names: a whole laboratory may come from it.
    address: Growth = Growth(30, 30, 15, 5 * 60)


@dataclass(frozen=True, order=True)
class Counter:
    """One count: of what kind, about whom, and where where that matters."""

    kind: str
    subject: str
    place: str = ""


def of_name(name: str) -> str:
    """A name as counters have it; the same for names that no user has."""
    return _hash(name)[:_NAME_DIGITS]


def of_address(address: str) -> str:
    """An address as counters have it. An IPv6 host picks among 2**64 addresses: its network counts."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return _hash(address)
    if isinstance(found, ipaddress.IPv6Address):
        found = found.ipv4_mapped or ipaddress.ip_network((found, 64), strict=False).network_address
    return _hash(str(found))


def waits(session: Session, counters: dict[Counter, Growth], now: datetime) -> float:
    """Seconds to wait as far as reading tells: a flood of attempts that must wait takes no lock and writes nothing."""
    rows = ((growth, session.get(AttemptRow, (c.subject, c.kind, c.place))) for c, growth in counters.items())
    return max((g.wait(row.level, (now - row.at).total_seconds()) for g, row in rows if row is not None), default=0.0)


def take(session: Session, counters: dict[Counter, Growth], now: datetime) -> float:
    """Count one attempt on every counter, before it is known to fail; seconds to wait where it may not be made.

    Of an attempt that has to wait nothing is counted. Rows are locked in one order: attempts made at the same moment,
    in whatever process, see each other.
    """
    _sweep(session, now)
    rows = {counter: _locked(session, counter, now) for counter in sorted(counters)}
    wait = max(counters[c].wait(level, (now - at).total_seconds()) for c, (level, at) in rows.items())
    if wait > 0:
        return wait
    for counter, (level, at) in rows.items():
        growth = counters[counter]
        _write(session, counter, growth, growth.left(level, (now - at).total_seconds()) + 1, now)
    return 0.0


def give_back(session: Session, counters: dict[Counter, Growth]) -> None:
    """The attempt did not fail: take it off again. The wait that other failures brought stays as long as it was."""
    for counter in sorted(counters):
        row = session.get(AttemptRow, (counter.subject, counter.kind, counter.place), with_for_update=True)
        if row is not None:
            _write(session, counter, counters[counter], max(0.0, row.level - 1), row.at)


def clear(session: Session, subject: str) -> None:
    """Forget every failure of one subject."""
    _delete(session, select(AttemptRow).where(AttemptRow.subject == subject))


def forget(session: Session, counter: Counter) -> None:
    """Forget this counter alone."""
    where = (AttemptRow.subject == counter.subject, AttemptRow.kind == counter.kind, AttemptRow.place == counter.place)
    _delete(session, select(AttemptRow).where(*where))


def _delete(session: Session, rows: SelectOfScalar[AttemptRow]) -> None:
    # Locked in the order of `take`, so that the two never wait for each other in a circle.
    for row in session.exec(rows.order_by(col(AttemptRow.kind), col(AttemptRow.place)).with_for_update()):
        session.delete(row)
    session.flush()


def _locked(session: Session, counter: Counter, now: datetime) -> tuple[float, datetime]:
    insert = inserting(session, AttemptRow).values(
        subject=counter.subject, kind=counter.kind, place=counter.place, level=0.0, at=now, gone_at=now
    )
    # An update that changes nothing locks the row that is there, and answers with it.
    locking = insert.on_conflict_do_update(
        index_elements=["subject", "kind", "place"], set_={"kind": insert.excluded.kind}
    )
    row = session.execute(locking.returning(col(AttemptRow.level), col(AttemptRow.at))).one()
    return float(row[0]), row[1]


def _write(session: Session, counter: Counter, growth: Growth, level: float, at: datetime) -> None:
    row = session.get_one(AttemptRow, (counter.subject, counter.kind, counter.place), populate_existing=True)
    row.level, row.at, row.gone_at = level, at, at + timedelta(seconds=level * growth.forgiven_seconds)
    session.add(row)
    session.flush()


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()


def _sweep(session: Session, now: datetime) -> None:
    gone = select(AttemptRow).where(col(AttemptRow.gone_at) < now).limit(_SWEPT)
    for row in session.exec(gone.with_for_update(skip_locked=True)):
        session.delete(row)
    session.flush()
