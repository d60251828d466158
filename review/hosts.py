"""Names of this page: which a request may call it by, and whether a form came from a page under the same name."""

import ipaddress
from collections.abc import Iterable
from typing import Final
from urllib.parse import urlsplit


#: Without them no page of ours could be opened on this machine.
LOCAL: Final = ("127.0.0.1", "localhost", "[::1]")
_PORTS: Final = {"http": 80, "https": 443}


class HostNames:
    """The names that a request's `Host` may carry. `*.example.org` allows every name below, `*` any name at all."""

    def __init__(self, names: Iterable[str]) -> None:
        self._any = False
        self._exact: set[str] = set()
        self._below: list[str] = []
        for name in names:
            self._any |= name == "*"
            if name.startswith("*."):
                self._below.append("." + (_plain(name[2:]) or name[2:]))
            else:
                # An IPv6 address may be given as it is; in a `Host` it stands in brackets.
                self._exact.add(_plain(name) or name)

    def allow(self, host: str | None) -> bool:
        """Whether a request with this `Host` is for us."""
        found = split(host)
        if found is None:
            return False
        name = found[0]
        return self._any or name in self._exact or any(name.endswith(below) for below in self._below)


def split(host: str | None) -> tuple[str, int | None] | None:
    """Name and port of a `Host` in their plain form; None where it is none. Raises nothing.

    Letters' case, a dot at the end and the spelling of an IPv6 address make no difference.
    """
    if not host or any(c in host for c in "/?#@\\ \t"):
        return None
    try:
        parts = urlsplit(f"//{host}")
        port = parts.port
    except ValueError:
        return None
    name = _plain(parts.hostname or "")
    return None if name is None else (name, port)


def same_origin(origin: str, host: str | None, scheme: str) -> bool:
    """Whether an `Origin` names the page that this `Host` asks, which came by `scheme`.

    A port that is not given is the default one. Over http, an origin of https is ours too: a proxy may not say that it
    was asked over TLS.
    """
    here = split(host)
    try:
        parts = urlsplit(origin)
    except ValueError:
        return False
    default = _PORTS.get(parts.scheme)
    if default is None or here is None or (scheme == "https" and parts.scheme != "https"):
        return False
    there = split(parts.netloc)
    if there is None or parts.path or parts.query or parts.fragment:
        return False
    return (there[0], there[1] or default) == (here[0], here[1] or default)


def _plain(name: str) -> str | None:
    """A name or address in the one form that is compared; None where it is neither."""
    name = name.strip().removesuffix(".").lower()
    try:
        return str(ipaddress.ip_address(name.strip("[]")))
    except ValueError:
        pass
    try:
        # As browsers send it: names in other scripts by their ASCII form.
        return name.encode("idna").decode("ascii") if name else None
    except UnicodeError:
        return None
