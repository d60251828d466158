"""Words that people type: remarks, reasons and names, as they are kept."""

import re
from typing import Final


#: Control characters but tab and line feed, which no database and no page wants, and those that turn the direction of
#: writing: with them a remark could look like another one.
_NO_TEXT: Final = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def typed(text: str) -> str:
    """The text without what is none, trimmed; line ends are line feeds."""
    return _NO_TEXT.sub("", text.replace("\r\n", "\n").replace("\r", "\n")).strip()
