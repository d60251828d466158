"""TLS to the broker: its certificate and its name are checked, unless the address asks for no check.

kombu checks nothing where `rediss://` says nothing, and takes what an address says instead of the settings.
"""

import ssl
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit


#: What an address may say of TLS, as kombu spells it: `rediss://HOST/0?ssl_cert_reqs=none` checks nothing.
_OPTIONS: Final = frozenset({"ssl_cert_reqs", "ssl_ca_certs", "ssl_certfile", "ssl_keyfile", "ssl_check_hostname"})
_CERT_REQS: Final = {"required": "required", "cert_required": "required", "none": "none", "cert_none": "none"}


def tls_options(url: str, ca: Path | None) -> tuple[str, dict[str, Any] | None]:
    """(the address without its TLS options, what kombu is to connect with); no options where the address has no TLS.

    `ca` is the PEM file of the authority that signed the server's certificate; without it the system's are trusted.
    Raises ValueError, in words, for an option that is none.
    """
    parts = urlsplit(url)
    if parts.scheme != "rediss":
        return url, None
    pairs = parse_qsl(parts.query, keep_blank_values=True)
    said = {name: value for name, value in pairs if name.startswith("ssl_")}
    if unknown := sorted(said.keys() - _OPTIONS):
        raise ValueError(f"it has no option {unknown[0]}; there are: {', '.join(sorted(_OPTIONS))}")
    required = _CERT_REQS.get(said.get("ssl_cert_reqs", "required").lower())
    if required is None:
        raise ValueError("ssl_cert_reqs is required (the default) or none, which checks no certificate")
    checked = required == "required"
    options: dict[str, Any] = {
        "ssl_cert_reqs": required,
        "ssl_check_hostname": checked and said.get("ssl_check_hostname", "true").lower() != "false",
        **({} if ca is None else {"ssl_ca_certs": str(ca)}),
        **{name: said[name] for name in ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile") if said.get(name)},
    }
    rest = urlencode([(name, value) for name, value in pairs if not name.startswith("ssl_")])
    return urlunsplit(parts._replace(query=rest)), options


def certificates(file: Path) -> Path:
    """The file, after a look whether it holds certificates (PEM); raises ValueError, in words."""
    try:
        ssl.create_default_context(cafile=file)
    except OSError:  # an SSLError is one
        raise ValueError(f"{file} cannot be read as certificates (PEM)") from None
    return file
