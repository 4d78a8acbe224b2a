"""The register of waivers, `waivers.yaml`: deviations that a named owner answers for until a day.

Reading is strict, because each entry turns red into something softer: an error names the file, the line
and the key, and nothing is waived by a file that has one. Who may waive is decided where the file is
reviewed; what it may waive is decided in `checks.waiving`.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import Final, NoReturn

import yaml

from controls.errors import WaiverError
from evidence.kinds.waiver import LONGEST, Waiver

REQUIRED: Final = ("id", "check", "deviations", "owner", "reason", "compensating", "expires")
KEYS: Final = (*REQUIRED, "ticket")
MAX_FILE_BYTES: Final = 1 << 20
MAX_DEPTH: Final = 8
_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")


def load_waivers(path: Path, *, checks: Collection[str], today: date) -> tuple[Waiver, ...]:
    """Every waiver of a file, in its order.

    Args:
        path: a YAML list of mappings with the keys `KEYS`.
        checks: ids of the checks that there are.
        today: waivers end at most 366 days after it.

    Raises:
        WaiverError: naming the file, the line and the key that is wrong.
    """
    items = _items(path)
    waivers = tuple(_Entry(path, item).waiver(checks, today) for item in items)
    for n, waiver in enumerate(waivers):
        if waiver.id in [other.id for other in waivers[:n]]:
            _Entry(path, items[n]).refuse(
                "id", f"{waiver.id} stands in the register twice", "give it its own"
            )
    return waivers


def _items(path: Path) -> list[yaml.Node]:
    try:
        content = path.read_bytes()
        if len(content) > MAX_FILE_BYTES:
            raise WaiverError(f"{path}: has more than {MAX_FILE_BYTES} bytes; shorten it")
        _refuse_aliases_and_depth(path, content.decode())
        root = yaml.compose(content.decode(), yaml.SafeLoader)
    except OSError as error:
        raise WaiverError(f"{path}: cannot be read ({error.strerror}); name the file as `waivers`") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise WaiverError(f"{path}: is not YAML: {' '.join(str(error).split())}") from error
    if root is None:
        return []
    if not isinstance(root, yaml.SequenceNode):
        raise WaiverError(f"{path}:{_line(root)}: is no list; write `- id: …` for each waiver, or `[]`")
    return list(root.value)


def _refuse_aliases_and_depth(path: Path, text: str) -> None:
    """An alias hides where a value comes from, and can name the node that it stands in."""
    depth = 0
    for event in yaml.parse(text, yaml.SafeLoader):
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        where = f"{path}:{_line(event)}"
        if isinstance(event, yaml.AliasEvent):
            raise WaiverError(f"{where}: uses an alias (*{event.anchor}); write the value out")
        if depth > MAX_DEPTH:
            raise WaiverError(f"{where}: is nested deeper than {MAX_DEPTH} levels; a waiver is flat")


class _Entry:
    """One item of the list, with the line of each of its keys."""

    def __init__(self, path: Path, item: yaml.Node) -> None:
        self._path = path
        self._item = item
        self._values: dict[str, yaml.Node] = {}
        if not isinstance(item, yaml.MappingNode):
            self.refuse("", "is no waiver", f"write the keys {', '.join(REQUIRED)}")
        for key, value in item.value:
            name = str(key.value)
            if name not in KEYS:
                self.refuse(name, "is an unknown key", f"known are {', '.join(KEYS)}", key)
            if name in self._values:
                self.refuse(name, "is given twice", "remove one", key)
            self._values[name] = value

    def waiver(self, checks: Collection[str], today: date) -> Waiver:
        """The waiver that it grants."""
        for name in REQUIRED:
            if name not in self._values:
                self.refuse(name, "is missing", "a waiver has every key but ticket")
        waiver = Waiver(
            id=self._id(),
            check=self._check("check", checks),
            deviations=self._deviations(),
            owner=self._owner(),
            reason=self._text("reason"),
            compensating=self._check("compensating", checks),
            expires=self._expires(today),
            ticket=self._text("ticket") if "ticket" in self._values else "",
        )
        if waiver.compensating == waiver.check:
            self.refuse("compensating", f"{waiver.check} cannot make up for itself", "name another check")
        return waiver

    def refuse(self, key: str, problem: str, remedy: str, node: yaml.Node | None = None) -> NoReturn:
        """Raise the error for a key of this entry."""
        line = _line(node or self._values.get(key) or self._item)
        named = f"{key}: " if key else ""
        raise WaiverError(f"{self._path}:{line}: {named}{problem}; {remedy}")

    def _id(self) -> str:
        text = self._text("id")
        if not _ID.fullmatch(text):
            self.refuse("id", f"{text[:80]!r} is no name", "use letters, digits and _ . - , at most 64")
        return text

    def _check(self, key: str, checks: Collection[str]) -> str:
        text = self._text(key)
        if text not in checks:
            self.refuse(key, f"there is no check {text!r}", "`posture controls` lists them")
        return text

    def _owner(self) -> str:
        text = self._text("owner")
        if "@" in text:
            self.refuse("owner", "is an address, and owners are published", "name a team or a role")
        return text

    def _deviations(self) -> tuple[str, ...]:
        node = self._values["deviations"]
        if not isinstance(node, yaml.SequenceNode) or not node.value:
            self.refuse(
                "deviations",
                "is no list of at least one deviation",
                "write the place of each as `posture check` prints it, as in [identity.app_user]",
            )
        return tuple(self._scalar("deviations", item) for item in node.value)

    def _expires(self, today: date) -> datetime:
        text = self._scalar("expires", self._values["expires"], tags=("str", "timestamp"))
        try:
            day = date.fromisoformat(text)
        except ValueError:
            self.refuse("expires", f"{text[:40]!r} is no date", "write it as 2027-01-31")
        if day - today > LONGEST:
            self.refuse(
                "expires", f"{day} is more than {LONGEST.days} days ahead", "decide again within a year"
            )
        return datetime.combine(day, time(), UTC)

    def _text(self, key: str) -> str:
        return self._scalar(key, self._values[key])

    def _scalar(self, key: str, node: yaml.Node, tags: tuple[str, ...] = ("str",)) -> str:
        if not isinstance(node, yaml.ScalarNode) or node.tag.rpartition(":")[2] not in tags:
            self.refuse(key, "is no text", "put it in quotes", node)
        text = str(node.value).strip()
        if not text:
            self.refuse(key, "is empty", "say it in words", node)
        return text


def _line(place: yaml.Node | yaml.Event) -> int:
    return int(place.start_mark.line) + 1 if place.start_mark else 0
