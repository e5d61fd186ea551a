"""Signatures of bodies: what is signed, and what is refused as none."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from celeriac.tenants.signature import TOLERANCE, SigningKey, Verdict, check_signature, signature

AT = datetime.fromtimestamp(1_764_304_496, UTC)
BODY = b'{"name":"shop/order.placed"}'
OLD = SigningKey(id="old", secret="cel_live_0000000000_old")
NEW = SigningKey(id="new", secret="cel_live_1111111111_new")

#: printf '%s.%s' 1764304496 "$body" | openssl dgst -sha256 -hmac "$key"
OF_OLD = "18fa9fd88a04f037e7df695bf04d2e228876e19d90fb55fed8a692876975d278"
OF_NEW = "6a3af439c7fa5a2a2d7505a5c88cd4057b9f877c62e9fc94b4601510bbb9f3b9"


def test_a_signature_is_what_openssl_makes_of_time_dot_and_body() -> None:
    assert signature(BODY, [NEW, OLD], AT) == f"t=1764304496,v1={OF_NEW},v1={OF_OLD}"


@pytest.mark.parametrize("known", [[OLD], [NEW], [NEW, OLD]])
def test_a_receiver_needs_one_of_the_keys(known: list[SigningKey]) -> None:
    assert check_signature(BODY, signature(BODY, [NEW, OLD], AT), known, AT) == Verdict(key_id=known[0].id)


@pytest.mark.parametrize(
    "header",
    [
        f"v1={OF_OLD},t=1764304496",
        f"t=1764304496, v1={OF_OLD}",
        f"t=1764304496,v1={'0' * 64},v1={OF_OLD}",
        f"t=1764304496,v0=x,v1={OF_OLD},v2=y",
    ],
    ids=["order", "space", "beside another", "other schemes"],
)
def test_a_header_may_be_written_in_these_ways(header: str) -> None:
    assert check_signature(BODY, header, [OLD], AT).key_id == "old"


@pytest.mark.parametrize(
    "header",
    [
        "",
        "t=1764304496",
        f"v1={OF_OLD}",
        f"t=1764304496,t=1764304496,v1={OF_OLD}",
        f"t=1764304496.0,v1={OF_OLD}",
        f"t=-1,v1={OF_OLD}",
        f"t=\u0661,v1={OF_OLD}",
        f"t={'9' * 13},v1={OF_OLD}",
        f"t=1764304496,v1={OF_OLD[:-1]}",
        f"t=1764304496,v1={OF_OLD},v1=ü",
        "t=1764304496" + f",v1={OF_OLD}" * 33,
        "t=1764304496" + ",v2=x" * 1_000 + f",v1={OF_OLD}",
    ],
)
def test_a_header_that_is_none_is_refused(header: str) -> None:
    assert check_signature(BODY, header, [OLD], AT) == Verdict(fault="malformed")


@pytest.mark.parametrize("away", [TOLERANCE, -TOLERANCE])
def test_a_signature_is_good_for_five_minutes_either_way(away: timedelta) -> None:
    header = signature(BODY, [OLD], AT)
    a_second = timedelta(seconds=1 if away > timedelta(0) else -1)
    assert check_signature(BODY, header, [OLD], AT + away).fault is None
    assert check_signature(BODY, header, [OLD], AT + away + a_second) == Verdict(fault="untimely")


def test_another_body_another_time_or_another_key_is_not_signed() -> None:
    header = signature(BODY, [OLD], AT)
    later = header.replace("t=1764304496", "t=1764304497")
    assert [
        check_signature(BODY + b" ", header, [OLD], AT).fault,
        check_signature(BODY, later, [OLD], AT).fault,
        check_signature(BODY, header, [NEW], AT).fault,
        check_signature(BODY, header, [], AT).fault,
    ] == ["unknown"] * 4


def test_a_key_does_not_show_its_secret() -> None:
    assert OLD.secret not in repr(OLD)
