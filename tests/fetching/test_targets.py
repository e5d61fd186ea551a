"""Reading URLs: one reading only, and nothing that is written in order to be misread."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from celeriac.errors import FetchRefused
from celeriac.platform.fetching.target import target

REFUSED = [
    # addresses in disguise
    *("http://2130706433/", "http://0x7f000001/", "http://017700000001/", "http://0x7f.1/", "http://127.1/"),
    *("http://0177.0.0.1/", "http://127.0.0.01/", "http://1.2.3/", "http://127.0.0.1./", "http://0x/", "http://a.1/"),
    *("http://[fe80::1%25eth0]/", "http://[::1/", "http://[abc]/", "http://%6c%6fcalhost/"),
    # somebody before the host
    *("http://user@example.com/", "http://user:password@example.com/", "http://@example.com/"),
    *("http://example.com@127.0.0.1/", "http://127.0.0.1%2f@example.com/", "http://example.com\\@127.0.0.1/"),
    # not HTTP, or no URL
    *("file:///etc/passwd", "gopher://example.com/", "ftp://example.com/", "javascript:alert(1)", "data:,x"),
    *("//example.com/", "example.com", "", "http:", "http://", "http:///path", "http:/example.com", " http://a/"),
    # ports
    *("http://example.com:6379/", "http://example.com:25/", "http://example.com:22/", "http://example.com:0/"),
    *("http://example.com:65536/", "http://example.com:-1/", "http://example.com:80:80/", "http://example.com:x/"),
    # line breaks and other invisible things
    *("http://example.com/\r\nX-Admin: yes", "http://exam\tple.com/", "http://example.com/\x00", "http://a/\ud800"),
    # names that are none
    *("http://exa mple.com/", "http://*.example.com/", "http://example..com/", "http://a..", "http://-a.com/"),
    *(f"http://{'a' * 64}.com/", f"http://{'a.' * 130}com/", f"http://example.com/{'a' * 8000}"),
]


@pytest.mark.parametrize("url", REFUSED)
def test_a_url_that_could_be_misread_is_refused(url: str) -> None:
    """Before anybody looks up a name."""
    with pytest.raises(FetchRefused):
        target(url)


@pytest.mark.parametrize(
    ("url", "read"),
    [
        ("HTTP://EXAMPLE.com", "http://example.com/"),
        ("https://example.com:443?a=1#part", "https://example.com/?a=1"),
        ("http://example.com:8080/a/../b", "http://example.com:8080/a/../b"),
        ("http://[2001:DB8::1]:8080/", "http://[2001:db8::1]:8080/"),
        ("http://localhost./", "http://localhost./"),
        ("http://①②⑦.⓪.⓪.①/", "http://127.0.0.1/"),
        ("http://münchen.example/straße?q=ü", "http://xn--mnchen-3ya.example/stra%C3%9Fe?q=%C3%BC"),
        ("http://a_b.example/x y", "http://a_b.example/x%20y"),
    ],
)
def test_a_url_is_brought_into_one_form(url: str, read: str) -> None:
    """It is the one that is checked and the one that is used."""
    assert str(target(url)) == read
    assert str(target(read)) == read


@settings(max_examples=300, deadline=None)
@given(st.text(st.sampled_from("ah019.:/?#@[]%\\ \t-_&=;ü。①\u0130ß\u200d\u2044℀"), max_size=30))
def test_any_text_is_refused_or_read_in_one_way(text: str) -> None:
    """What was read is plain ASCII, names no user, and reads the same again."""
    try:
        read = target(f"http://{text}")
    except FetchRefused:
        return
    assert re.fullmatch(r"http://[a-z0-9_.:\[\]-]+/[\x21-\x7e]*", str(read))
    assert target(str(read)) == read


def test_escapes_stay_as_they_were_written() -> None:
    """A signature over the URL would break otherwise."""
    url = "https://bucket.example/a%2Fb%20c?X-Sig=a%2Bb%3D&x=%c3%bc&y=1+2"
    assert str(target(url)) == url


@pytest.mark.parametrize("url", ["http://10.0.0.1/hook?token=s3cret\n", "redis://:s3cret@10.0.0.1", "s3cret"])
def test_a_refusal_does_not_repeat_the_url(url: str) -> None:
    """There may be a key in it."""
    with pytest.raises(FetchRefused) as refusal:
        target(url)
    assert "s3cret" not in refusal.value.message
