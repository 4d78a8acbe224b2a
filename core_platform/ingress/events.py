"""Log lines as JSON objects, made of an event's name and the few fields it was given.

For whoever reads the ingress's standard error. The formatter writes only named fields, never an
exception's text or a message's arguments, so a payload has no way in.
"""

import json
import logging
from datetime import UTC, datetime
from typing import TextIO

_FIELDS = ("refusal", "tenant", "agent", "key_id", "kind")


class _JsonLine(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        line = {"at": at, "level": record.levelname.lower(), "event": record.msg}
        line |= {name: value for name in _FIELDS if (value := getattr(record, name, None))}
        return json.dumps(line)


def log_as_json(logger: logging.Logger, stream: TextIO) -> None:
    """Send ``logger`` and everything below it to ``stream`` as JSON lines, from INFO up."""
    handler = logging.StreamHandler(stream)
    handler.setFormatter(_JsonLine())
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    logger.propagate = False
