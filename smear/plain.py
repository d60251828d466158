"""The root of every error whose text is meant for the person who gave the command."""


class PlainError(Exception):
    """One plain sentence: what is wrong, and where it helps, the cure. Never shown with a traceback."""
