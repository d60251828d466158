"""CSV that a spreadsheet opens as text: a cell that it would take for a formula is neutralised.

OWASP, "CSV Injection": a leading apostrophe makes a spreadsheet show the cell as it stands.
"""

from collections.abc import Mapping
from typing import Any, Final


#: What makes a spreadsheet take a cell for a formula, also as the full-width signs that some of them accept.
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")


def inert(row: Mapping[str, Any]) -> dict[str, Any]:
    """The row of a CSV with an apostrophe before each text that a spreadsheet would calculate; numbers stay."""
    return {name: f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value
            for name, value in row.items()}  # fmt: skip
