"""Addresses and networks, as a setting lists them."""

import ipaddress


def networks(listed: str) -> tuple[str, ...]:
    """The networks of a list separated by commas; an address is a network of one. Raises ValueError in words.

    An IPv4 network stands there in its IPv6 form too: a server that listens on both sees it that way.
    """
    found: list[str] = []
    for one in filter(None, (part.strip() for part in listed.split(","))):
        try:
            network = ipaddress.ip_network(one)
        except ValueError:
            raise ValueError(f"{one!r} is no address or network, such as 10.0.0.5, 10.0.0.0/24 or fd00::/8") from None
        found.append(str(network))
        if isinstance(network, ipaddress.IPv4Network):
            found.append(f"::ffff:{network.network_address}/{96 + network.prefixlen}")
    return tuple(found)
