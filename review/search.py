"""Searching for a piece of a name, however it is written: composed or decomposed, in capitals or not."""

import re
from typing import Any

from sqlalchemy import ColumnElement

from smear.names import spellings


def contains(column: Any, text: str) -> ColumnElement[bool]:
    """SQL: whether a column holds the text somewhere, in any of its forms, and whatever the case."""
    if text.isascii():
        return column.icontains(text, autoescape=True)  # type: ignore[no-any-return]
    # SQLite, and PostgreSQL in the locale C, know the case of ASCII's letters alone: each is asked for in both.
    pattern = "|".join("".join(_either_case(letter) for letter in form) for form in spellings(text))
    return column.regexp_match(pattern)  # type: ignore[no-any-return]


def _either_case(letter: str) -> str:
    """A letter in the words of both Python's and PostgreSQL's regular expressions."""
    cases = {case for case in (letter, letter.lower(), letter.upper(), letter.upper().lower()) if len(case) == 1}
    return f"[{''.join(sorted(cases))}]" if len(cases) > 1 else re.escape(letter)
