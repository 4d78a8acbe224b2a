"""One level of a JSON object at a time, with values left as the bytes that were delivered.

For the projection, which must not be told one thing by the first of two equal keys and another by the
last: every parser keeps one silently. Values stay `msgspec.Raw`, so content that nobody asked for never
becomes a Python string, in a variable or in a traceback.
"""

import re
from collections.abc import Mapping
from enum import StrEnum

import msgspec

from core_platform.errors import PlatformError

Level = Mapping[str, msgspec.Raw]

_LEVEL = msgspec.json.Decoder(dict[str, msgspec.Raw])
#: A key without escapes: an escaped one could spell a second copy of a name we read.
_KEY = re.compile(rb'[ \t\r\n]*[{,][ \t\r\n]*"([^"\\]*)"[ \t\r\n]*:[ \t\r\n]*')
_END = re.compile(rb"[ \t\r\n]*[{}]")


class Fault(StrEnum):
    """Why a record was quarantined; a field's fault is followed by the field's name."""

    TOO_LONG = "too_long"
    NOT_UTF8 = "not_utf8"
    NOT_JSON = "not_json"
    TOO_DEEP = "too_deep"
    DUPLICATE_KEY = "duplicate_key"
    FIELD = "field"


class RecordRefused(PlatformError):
    """A record that cannot be projected. Says what kind of fault, never what was in the record."""

    def __init__(self, fault: Fault, field: str = "") -> None:
        self.error_class = f"{fault.value}:{field}" if field else fault.value
        super().__init__(self.error_class)


def read_level(source: bytes) -> Level:
    """The members of a JSON object, each value as delivered.

    Raises:
        RecordRefused: not one JSON object, nested beyond the parser, or a key that comes twice.
    """
    try:
        members = _LEVEL.decode(source)
    except msgspec.DecodeError:
        raise RecordRefused(Fault.NOT_JSON) from None
    except RecursionError:
        raise RecordRefused(Fault.TOO_DEEP) from None
    if not _each_key_once(source, members):
        raise RecordRefused(Fault.DUPLICATE_KEY)
    return members


def _each_key_once(source: bytes, members: Level) -> bool:
    """Whether the object holds nothing but the members that were kept.

    Written without a blank its length leaves no room for another member. Otherwise it is walked by the
    values that were kept: a key's other value would not fit its place.
    """
    if len(source) == 1 + 4 * len(members) + sum(map(len, members)) + sum(map(len, members.values())):
        return True
    position = 0
    for _ in range(len(members)):
        key = _KEY.match(source, position)
        value = members.get(key[1].decode()) if key else None
        if key is None or value is None or not source.startswith(bytes(value), key.end()):
            return False
        position = key.end() + len(value)
    return _END.match(source, position) is not None
