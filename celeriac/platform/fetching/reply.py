"""The reply of a fetch: plain enough to be remembered as JSON, and read back as what it was.

A body is kept as text where it is text in the charset that it came in, else as base64; never both, and never parsed
beside it, because a memo is paid for by the byte.
"""

from __future__ import annotations

import codecs
import json
from base64 import b64decode, b64encode
from dataclasses import dataclass
from typing import Any

BASE64 = "base64"
#: charsets of the web, as Python names them; others (some of which decode at a crawl, or to half characters) are bytes
_CHARSETS = {
    *("ascii", "utf-8", "utf-16", "utf-16-le", "utf-16-be", "koi8-r", "koi8-u"),
    *(f"iso8859-{part}" for part in (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 14, 15, 16)),
    *(f"cp{page}" for page in (874, 932, 949, 1250, 1251, 1252, 1253, 1254, 1255, 1256, 1257, 1258)),
    *("big5", "euc_jp", "euc_kr", "gb18030", "gb2312", "gbk", "shift_jis"),
}


@dataclass(frozen=True, kw_only=True)
class FetchReply:
    """What a server answered. Any status is an answer: it is for the caller to judge."""

    status: int
    #: where the answer came from, after redirects
    url: str
    #: by lower-case names; what was sent several times is joined by commas
    headers: dict[str, str]
    #: as `encoding` says; read it by `text`, `content` or `json()`
    body: str
    #: the charset of the text, or `base64`
    encoding: str

    @property
    def content(self) -> bytes:
        """The body's bytes, decompressed."""
        return b64decode(self.body) if self.encoding == BASE64 else self.body.encode(self.encoding)

    @property
    def text(self) -> str:
        """The body as text; a sign stands for each byte that is none."""
        return self.content.decode("utf-8", "replace") if self.encoding == BASE64 else self.body

    def json(self) -> Any:
        """Parse the body as JSON, whatever its content type; raise `ValueError` where it is none."""
        return json.loads(self.text.removeprefix("\ufeff"))


def body_of(content: bytes, charset: str | None) -> tuple[str, str]:
    """Return `body` and `encoding` for the bytes that came with this charset."""
    name = _known(charset or "utf-8")
    if name is not None:
        try:
            text = content.decode(name)
            if "\x00" not in text and text.encode(name) == content:
                return text, name
        except UnicodeError:
            return b64encode(content).decode("ascii"), BASE64
    return b64encode(content).decode("ascii"), BASE64


def _known(charset: str) -> str | None:
    try:
        name = codecs.lookup(charset).name
    except (LookupError, ValueError):
        return None
    return name if name in _CHARSETS else None
