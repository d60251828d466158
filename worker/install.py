"""What must be there before anything runs: schema at head, the shipped bundle where bundles live, one that serves."""

from smear import bundle as bundles
from smear.settings import Settings
from smear.store import Store, migrate
from worker.models import register, seed


def prepare(settings: Settings) -> None:
    """Bring database and bundles to what this version needs; doing it again changes nothing.

    Raises StoreUnavailable, BadBundle, OSError.
    """
    store = Store(settings.database)
    try:
        migrate(store, settings.var / "migrate.lock")
        register(store, bundles.load(seed(settings.models_folder)))
        if settings.keep_pictures_days > 0:
            settings.pictures_folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    finally:
        store.close()
