"""Which addresses are public: those of the internet's hosts, by whatever number they are reached."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from celeriac.errors import ConfigError, FetchRefused
from celeriac.platform.fetching.address import check_address, is_allowed, networks_of
from celeriac.platform.fetching.limits import FetchLimits

PUBLIC = [
    *("8.8.8.8", "1.1.1.1", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0", "172.15.255.255"),
    *("172.32.0.0", "192.167.255.255", "198.17.255.255", "198.20.0.0", "223.255.255.255"),
    *("2001:4860:4860::8888", "2606:4700:4700::1111", "2a00:1450::1"),
    *("::ffff:8.8.8.8", "64:ff9b::8.8.8.8"),
]
CLOSED = [
    *("127.0.0.1", "127.255.255.254", "0.0.0.0", "0.1.2.3", "10.0.0.1", "10.255.255.255", "172.16.0.1"),
    *("172.31.255.255", "192.168.0.1", "169.254.169.254", "100.64.0.1", "100.100.100.200", "100.127.255.255"),
    *("192.0.0.192", "192.0.2.1", "192.88.99.1", "198.18.0.1", "198.19.255.255", "198.51.100.1", "203.0.113.1"),
    *("224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255", "168.63.129.16"),
    *("::1", "::", "::127.0.0.1", "::8.8.8.8", "fe80::1", "fec0::1", "fc00::1", "fd00:ec2::254", "ff02::1"),
    *("100::1", "2001:db8::1", "3fff::1", "5f00::1", "4000::1", "2001:2::1", "2001:10::1", "2001:20::1"),
    # the same places in other clothes: mapped, translated, tunnelled
    *("::ffff:127.0.0.1", "::ffff:169.254.169.254", "::ffff:0:10.0.0.1"),
    *("64:ff9b::10.0.0.1", "64:ff9b::169.254.169.254", "64:ff9b:1::8.8.8.8", "2002:7f00:1::", "2002:a00:1::1"),
    "2001:0:53aa:64c:0:fffe:80ff:fffe",
]


@pytest.mark.parametrize("address", PUBLIC)
def test_a_public_address_is_allowed(address: str) -> None:
    """The neighbours of the closed networks are among them."""
    assert is_allowed(ip_address(address), ())


@pytest.mark.parametrize("address", CLOSED)
def test_an_address_that_is_not_public_is_refused(address: str) -> None:
    """Whatever the standard library of this Python says of it."""
    assert not is_allowed(ip_address(address), ())


@pytest.mark.parametrize("address", ["10.1.2.3", "::ffff:10.1.2.3", "64:ff9b::10.1.2.3"])
def test_an_opened_network_is_reached_by_all_its_numbers(address: str) -> None:
    """And its neighbour is not."""
    opened = networks_of(["10.1.0.0/16"])
    assert is_allowed(ip_address(address), opened)
    assert not is_allowed(ip_address("10.2.0.1"), opened)


@pytest.mark.parametrize("text", ["10.1.2.3/16", "10.1", "everything", ""])
def test_what_is_no_network_is_refused_at_the_start(text: str) -> None:
    """Rather than opened by half."""
    with pytest.raises(ConfigError, match=r"CELERIAC_FETCH_ALLOW.*10\.1\.0\.0/16"):
        FetchLimits(allowed_networks=(text,))


def test_the_refusal_of_a_name_does_not_tell_its_address() -> None:
    """A message is no map of the network; it says what the operator can do."""
    with pytest.raises(FetchRefused, match=r"^'db\.internal' .* CELERIAC_FETCH_ALLOW$") as refusal:
        check_address("10.7.7.7", (), "db.internal")
    assert "10.7" not in refusal.value.message
    assert refusal.value.code == "fetch_refused"
