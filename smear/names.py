"""Names as people type them: the same letters may come as other code points, composed (NFC) or decomposed (NFD)."""

import unicodedata
from collections.abc import Iterable


def spellings(name: str) -> tuple[str, ...]:
    """The forms under which a name may be stored: as typed, composed, decomposed; each once, as typed first.

    File systems keep what the exporting machine wrote (macOS decomposes, Windows composes), and the database keeps what
    the file system has. A look-up asks for all forms, so two slides that differ by their form alone are both found.
    """
    forms = (name, unicodedata.normalize("NFC", name), unicodedata.normalize("NFD", name))
    return tuple(dict.fromkeys(forms))


def each_once(names: Iterable[str]) -> list[str]:
    """The names in their order, without those that differ from an earlier one by their form alone."""
    seen: dict[str, str] = {}
    for name in names:
        seen.setdefault(unicodedata.normalize("NFC", name), name)
    return list(seen.values())


def user_name(text: str) -> str:
    """A user name as it is stored and compared: compatibility forms composed (NFKC), without case, trimmed."""
    # Folding may leave letters that are not composed, so the form is made twice; what is trimmed may come of it.
    folded = unicodedata.normalize("NFKC", text).casefold()
    return unicodedata.normalize("NFKC", folded).strip()
