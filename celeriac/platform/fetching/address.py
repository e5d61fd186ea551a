"""Addresses: which IP addresses may be connected to, and which ports.

Pure; asked for every address right before a connection to it is opened, and for all addresses of a name at once.
Only what everybody in the internet can reach is public. Whatever else a number may mean (this host, its neighbours, a
cloud's metadata, a tunnel to any of them) is closed unless the operator opens its network.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from celeriac.errors import ConfigError, FetchRefused

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

#: what IANA's special-purpose registry does not give to hosts of the internet, and one address that a cloud took
_CLOSED = tuple(
    map(
        IPv4Network,
        (
            "0.0.0.0/8",  # this network
            "10.0.0.0/8",  # private
            "100.64.0.0/10",  # behind a provider's translator
            "127.0.0.0/8",  # this host
            "168.63.129.16/32",  # Azure's own, metadata among it, though the number is a public one
            "169.254.0.0/16",  # link-local; the metadata of most clouds
            "172.16.0.0/12",  # private
            "192.0.0.0/24",  # protocol assignments; the metadata of some clouds
            "192.0.2.0/24",  # documentation
            "192.88.99.0/24",  # relays to 6to4
            "192.168.0.0/16",  # private
            "198.18.0.0/15",  # benchmarks
            "198.51.100.0/24",  # documentation
            "203.0.113.0/24",  # documentation
            "224.0.0.0/4",  # multicast
            "240.0.0.0/4",  # reserved, broadcast
        ),
    )
)

#: the only part of IPv6 that is given to hosts of the internet, and what is taken out of it
_UNICAST = IPv6Network("2000::/3")
_CLOSED_UNICAST = tuple(
    map(
        IPv6Network,
        (
            "2001::/23",  # protocol assignments; Teredo, which tunnels to IPv4
            "2001:db8::/32",  # documentation
            "2002::/16",  # 6to4, which tunnels to IPv4
            "3fff::/20",  # documentation
        ),
    )
)
#: IPv6 that a translator turns into the IPv4 address of its last 32 bits
_TRANSLATED = IPv6Network("64:ff9b::/96")

#: ports of protocols that are not HTTP and take a request's lines for commands or for mail
CLOSED_PORTS = frozenset(
    {
        *(0, 1, 7, 9, 11, 13, 15, 17, 19, 20, 21, 22, 23, 25, 37, 42, 43, 53, 69, 79, 87, 95),
        *(110, 111, 113, 119, 123, 135, 137, 139, 143, 161, 179, 389, 427, 445, 465),
        *(512, 513, 514, 515, 526, 530, 531, 532, 540, 548, 554, 556, 563, 587, 601, 636, 873, 989, 990, 993, 995),
        *(1433, 1521, 1719, 1720, 1723, 2049, 3306, 3389, 3659, 4045, 4190, 5060, 5061, 5432, 5671, 5672),
        *range(6000, 6064),
        *(6379, 6380, 6432, 6566, *range(6665, 6670), 6697, 9042, 9092, 10080, 11211, 16379, 26379, 27017),
    }
)


def networks_of(texts: Iterable[str]) -> tuple[Network, ...]:
    """Read networks such as `10.1.0.0/16`; raise `ConfigError` for one that is none."""
    try:
        return tuple(ip_network(text.strip()) for text in texts)
    except ValueError as error:
        raise ConfigError(f"CELERIAC_FETCH_ALLOW: {error}; write networks like 10.1.0.0/16") from error


def is_allowed(address: Address, opened: Iterable[Network]) -> bool:
    """Whether the address may be connected to: it is public, or lies in a network that the operator opened."""
    meant = list(_meant_by(address))
    return _is_public(meant[-1]) or any(one in network for network in opened for one in meant)


def check_address(text: str, opened: Iterable[Network], name: str | None = None) -> None:
    """Raise `FetchRefused` where the address, one of the host `name`, may not be connected to.

    The message leaves out what a name resolves to: who may not reach a network is not told its plan either.
    """
    try:
        refused = not is_allowed(ip_address(text), opened)
    except ValueError:
        refused = True
    if refused:
        raise FetchRefused(
            f"{name or text!r} has an address that is not public; to fetch from there, open its network with "
            "CELERIAC_FETCH_ALLOW"
        )


def _is_public(address: Address) -> bool:
    if isinstance(address, IPv4Address):
        return not any(address in network for network in _CLOSED)
    return address in _UNICAST and not any(address in network for network in _CLOSED_UNICAST)


def _meant_by(address: Address) -> Iterator[Address]:
    """Yield the address, and after it the IPv4 address that a connection to it reaches in truth."""
    yield address
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            yield address.ipv4_mapped
        elif address in _TRANSLATED:
            yield IPv4Address(int(address) & 0xFFFF_FFFF)
