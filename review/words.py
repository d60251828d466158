"""Words that people type: remarks, reasons and names, as they are kept."""

import re
import unicodedata
from typing import Final


#: Control characters but tab and line feed, which no database and no page wants, and those that turn the direction of
#: writing: with them a remark could look like another one.
_NO_TEXT: Final = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")

#: Letters and symbols by category that are drawn as nothing: Hangul fillers and the empty Braille pattern.
_BLANK: Final = frozenset("\u115f\u1160\u2800\u3164\uffa0")
#: Categories of spaces, control and format characters, unassigned ones, and marks without a width of their own.
_UNSEEN: Final = frozenset({"Cc", "Cf", "Cn", "Co", "Cs", "Mn", "Zl", "Zp", "Zs"})


def typed(text: str) -> str:
    """The text without what is none, trimmed; line ends are line feeds."""
    return _NO_TEXT.sub("", text.replace("\r\n", "\n").replace("\r", "\n")).strip()


def seen_length(text: str) -> int:
    """How many characters of a text a person sees: spaces, marks upon letters and what has no shape do not count."""
    return sum(character not in _BLANK and unicodedata.category(character) not in _UNSEEN for character in text)
