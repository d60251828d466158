"""Where the parts play, one after the other, and the service that is kept for the next one."""

import time
import traceback
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from faults.ground_truth import Pool
from faults.part import CannotPlay, Outcome, Part, Unfinished
from faults.scene import Scene
from faults.service import FaultyService


#: Settings of every part that asks for no others: short times, so that much happens.
QUICK: Final = {
    "WNET_FILE_SETTLE_SECONDS": "0.4",
    "WNET_SETTLE_SECONDS": "1.5",
    "WNET_SCAN_SECONDS": "2",
    "WNET_LEASE_SECONDS": "4",
}


class Stage:
    """Where the parts play, one after the other: a folder, the slides to drop, and a service kept for the next part
    where that asks for the same settings.
    """

    def __init__(self, folder: Path, pool: Pool, patience: float = 1.0) -> None:
        self.folder, self.pool, self.patience = folder, pool, patience
        self._service: FaultyService | None = None
        self._wanted: object = None
        self._services = 0
        self._plays: Counter[str] = Counter()

    def service(self, *, workers: int = 1, modes: tuple[str, ...] = (), **settings: str) -> FaultyService:
        """A running service with these settings beside QUICK's."""
        wanted = (workers, modes, settings)
        if self._service is not None and (wanted != self._wanted or not self._service.processes("watcher")):
            self.close()
        if self._service is None:
            self._services += 1
            home = self.folder / f"service{self._services}"
            home.mkdir(parents=True)
            self._service = FaultyService(
                home, workers=workers, modes=modes, patience=self.patience, **(QUICK | settings)
            )
            self._wanted = wanted
            self._service.start()
        return self._service

    def close(self) -> None:
        """End the service, if one runs."""
        if self._service is not None:
            service, self._service = self._service, None
            service.end()

    def play(self, part: Part, sizes: Mapping[str, float], off: tuple[str, ...] = ()) -> Outcome:
        """Play a part with these numbers; `off` names protections switched off."""
        self._plays[part.name] += 1
        scene = Scene(self, part, sizes, off, self._plays[part.name])
        started = time.monotonic()
        try:
            part.play(scene)
            clean = True
        except CannotPlay:
            scene.end_service()
            raise
        except Unfinished as error:
            scene.outcome.problems.append(str(error))
            clean = True
        except Exception as error:  # noqa: BLE001 - a part that breaks off is a part that failed; the others play
            scene.outcome.problems.append(f"{type(error).__name__}: {error}"[:2000])
            (scene.folder / "traceback.txt").write_text(traceback.format_exc(), encoding="utf-8")
            clean = False
        if scene.started is not None:
            # What was still to go wrong must not do so in the next part.
            scene.started.plan.withdraw()
        scene.close(compared=clean)
        scene.outcome.seconds = time.monotonic() - started
        if "supervisor" in off or not (off or scene.outcome.right):
            self.close()
        return scene.outcome
