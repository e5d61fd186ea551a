"""What comes back: remembered as plain JSON, read back to the byte."""

from __future__ import annotations

import json

import pytest

from celeriac.platform.codec import decoder, encode
from celeriac.platform.fetching.reply import FetchReply, body_of


def reply_of(content: bytes, charset: str | None = None) -> FetchReply:
    """A reply with that body, as it comes out of a run's memory."""
    body, encoding = body_of(content, charset)
    reply = FetchReply(status=200, url="https://example.com/", headers={"a": "b"}, body=body, encoding=encoding)
    remembered = decoder(FetchReply)(json.loads(encode(reply)))
    assert remembered == reply
    assert isinstance(remembered, FetchReply)
    return remembered


@pytest.mark.parametrize(
    ("content", "charset", "encoding"),
    [
        ("grün".encode(), None, "utf-8"),
        ("grün".encode("latin-1"), "ISO-8859-1", "iso8859-1"),
        ("表".encode("shift_jis"), "Shift_JIS", "shift_jis"),
        ("grün".encode("latin-1"), None, "base64"),
        (b"\x89PNG\r\n\x1a\n\x00", None, "base64"),
        (b"a\x00b", "utf-8", "base64"),
        (b"text", "no-such-charset", "base64"),
        (b"text", "idna", "base64"),
        (b"\\ud800", "unicode_escape", "base64"),
        (b"text", "a\x00b", "base64"),
        (b"", None, "utf-8"),
    ],
)
def test_every_body_comes_back_to_the_byte(content: bytes, charset: str | None, encoding: str) -> None:
    """What a database cannot hold as text is kept as base64, and so is what decodes only by tricks."""
    reply = reply_of(content, charset)
    assert reply.encoding == encoding
    assert reply.content == content


def test_text_is_there_for_everything() -> None:
    """Pages with one broken byte are read nevertheless."""
    assert reply_of("grün".encode("latin-1"), "latin-1").text == "grün"
    assert reply_of(b"gr\xfcn").text == "gr\ufffdn"


def test_json_is_parsed_when_asked_for() -> None:
    """It is kept once, as text; a byte order mark is no part of it."""
    assert reply_of(b'\xef\xbb\xbf{"a": [1]}').json() == {"a": [1]}
    with pytest.raises(ValueError, match="Expecting value"):
        reply_of(b"<html>").json()
