"""How a planted word may look after it was stored, and a search for it in a stream of bytes.

A word that got through redaction seldom stays as it was: columns of bytes print as hexadecimal, JSON
travels in base64, Windows programs write UTF-16. In base64 a word has three forms, one for each place
at which it may begin within a group of three bytes (RFC 4648, section 4).
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from itertools import takewhile
from typing import Final
from urllib.parse import quote

ENCODINGS: Final = ("plain", "base64", "hex", "utf-16", "url")
SHORTEST_PREFIX: Final = 6
"""A shorter common beginning of the words would be found by chance and spare no work."""

#: In base64, characters at the beginning that depend on the bytes before, by alignment.
_SHARED_AT_START: Final = (0, 2, 3)


def forms(word: str) -> frozenset[bytes]:
    """Every form in which the word is looked for."""
    plain = {word.encode(), word.lower().encode(), word.upper().encode()}
    wide = {word.encode("utf-16-le"), word.encode("utf-16-be")}
    found = plain | wide
    for raw in (word.encode(), *wide):
        found |= {raw.hex().encode(), raw.hex().upper().encode()}
    found |= {form for shift in range(3) for form in _base64(word.encode(), shift)}
    percent = "".join(f"%{byte:02X}" for byte in word.encode())
    found |= {quote(word, safe="").encode(), percent.encode(), percent.lower().encode()}
    return frozenset(form for form in found if form)


def _base64(word: bytes, shift: int) -> tuple[bytes, bytes]:
    """The characters of base64, standard and URL-safe, that only the word itself decides."""
    encoded = base64.b64encode(bytes(shift) + word)
    leftover = (shift + len(word)) % 3
    end = len(encoded) - (4 - leftover if leftover else 0)
    own = encoded[_SHARED_AT_START[shift] : end]
    return own, own.replace(b"+", b"-").replace(b"/", b"_")


def _shared_beginning(words: Sequence[str]) -> str:
    """The longest text that every word begins with; of sorted words the first and last decide."""
    if not words:
        return ""
    pairs = takewhile(lambda pair: pair[0] == pair[1], zip(words[0], words[-1], strict=False))
    return "".join(one for one, _ in pairs)


class Needles:
    """All forms of all words, and a beginning that they share, by which most bytes are passed over."""

    def __init__(self, words: Iterable[str]) -> None:
        self.words = tuple(sorted(set(words)))
        self._forms = {word: forms(word) for word in self.words}
        every = [form for found in self._forms.values() for form in found]
        self.longest = max((len(form) for form in every), default=1)
        shared = _shared_beginning(self.words)
        self._prefixes = tuple(forms(shared)) if len(shared) >= SHORTEST_PREFIX else ()

    def search(self, chunks: Iterable[bytes | memoryview]) -> tuple[int, frozenset[str]]:
        """Bytes read, and the words found in them in any form, also across chunks."""
        read, found, tail = 0, set[str](), b""
        for chunk in chunks:
            read += len(chunk)
            window = tail + bytes(chunk)
            found.update(self._in(window, [word for word in self.words if word not in found]))
            tail = window[-(self.longest - 1) :] if self.longest > 1 else b""
        return read, frozenset(found)

    def _in(self, window: bytes, words: Sequence[str]) -> Iterable[str]:
        if self._prefixes and not any(prefix in window for prefix in self._prefixes):
            return ()
        return (word for word in words if any(form in window for form in self._forms[word]))
