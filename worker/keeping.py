"""Keeping picture files at classification, for the review page: analysers purge what they have exported."""

from collections.abc import Callable
from typing import Final

import structlog

from smear.picture_store import PictureStore
from smear.settings import Settings


log: Final = structlog.get_logger()


def keeper(settings: Settings) -> Callable[[str, bytes], None]:
    """What a SlideReader hands every file to: WNET_PICTURES, or nothing where none are kept for even a day's part."""
    if settings.keep_pictures_days <= 0:
        return lambda _digest, _data: None
    pictures = PictureStore(settings.pictures_folder)

    def keep(digest: str, data: bytes) -> None:
        try:
            pictures.put(digest, data)
        except OSError as error:
            # A differential without pictures is worth more than none: a full disk must not stop the work.
            log.warning("picture not kept", sha256=digest[:12], reason=error.strerror)

    return keep
