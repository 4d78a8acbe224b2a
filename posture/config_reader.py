"""Reads a YAML file into frozen dataclasses, every error with its line, key and remedy.

For `posture.config`, which holds the model. The tree of YAML nodes is walked along the type hints,
because a parser that first builds dicts has forgotten the lines and swallowed repeated keys. Field
metadata: `pattern` (for the value) or `keys` (for a mapping's keys) with `means` in words.
"""

from __future__ import annotations

import dataclasses
import difflib
import re
import types
import typing
from collections.abc import Callable, Iterator, Mapping
from dataclasses import MISSING
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from posture.secrets import (
    HOW_TO_REFER,
    HOW_TO_REFER_TO_A_KEY,
    KEY_SCHEMES,
    ConfigError,
    Key,
    Place,
    Secret,
    Url,
    is_reference,
)

if typing.TYPE_CHECKING:
    from yaml._yaml import Mark as CMark
    from yaml.error import Mark
    from yaml.nodes import MappingNode, Node, ScalarNode

T = typing.TypeVar("T")

MAX_FILE_BYTES = 1 << 20
MAX_DEPTH = 32
_PASSWORD_PARAMETERS = {"password", "sslpassword"}
_ACCOUNT_ID = re.compile("[0-9]{12}")  # a number to YAML, but a name to everybody


def read_typed(path: Path, kind: type[T]) -> T:
    """A `kind` (a dataclass) from the YAML file `path`; ConfigError for all that is wrong."""
    root = _compose(_read(path), str(path))
    return typing.cast("T", _Walk(path).build(kind, root, ""))


def _read(path: Path) -> str:
    place = Place(str(path))
    try:
        with path.open("rb") as file:
            content = file.read(MAX_FILE_BYTES + 1)
    except (OSError, ValueError) as failure:
        why = getattr(failure, "strerror", None) or failure
        raise ConfigError(place, f"cannot be read ({why})", "name a posture.yaml") from failure
    if len(content) > MAX_FILE_BYTES:
        raise ConfigError(place, f"has more than {MAX_FILE_BYTES} bytes", "shorten it")
    try:
        return content.decode()
    except UnicodeDecodeError as failure:
        line = content.count(b"\n", 0, failure.start) + 1
        raise ConfigError(Place(str(path), line), "is not UTF-8", "save it as UTF-8") from failure


def _compose(text: str, file: str) -> MappingNode:
    """The file's tree with line marks; ConfigError where it is not one plain YAML mapping."""
    import yaml

    try:
        _refuse_aliases_and_depth(text, file)
        root = yaml.compose(text, yaml.SafeLoader)
    except yaml.MarkedYAMLError as failure:
        what = f"is not YAML ({failure.problem or failure.context})"
        place = Place(file, _line(failure.problem_mark or failure.context_mark))
        raise ConfigError(place, what, "check indentation and quotes") from failure
    except yaml.reader.ReaderError as failure:
        place = Place(file, text.count("\n", 0, failure.position) + 1)
        raise ConfigError(place, "has a character that YAML forbids", "remove it") from failure
    if not isinstance(root, yaml.MappingNode):
        raise ConfigError(Place(file, 1), "holds no keys", "begin with `project: name`")
    return root


def _refuse_aliases_and_depth(text: str, file: str) -> None:
    """Aliases hide where a value comes from, and they and depth can exhaust a reader."""
    import yaml

    depth = 0
    for event in yaml.parse(text, yaml.SafeLoader):
        place = Place(file, _line(event.start_mark))
        if isinstance(event, yaml.AliasEvent):
            raise ConfigError(place, f"uses an alias (*{event.anchor})", "write the value out")
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        if depth > MAX_DEPTH:
            raise ConfigError(place, f"is nested deeper than {MAX_DEPTH} levels", "flatten it")


class _Walk:
    """Turns a tree of nodes into the type asked for, knowing the line of every node."""

    def __init__(self, path: Path) -> None:
        self.file = str(path)
        self.base = path.absolute().parent

    def build(self, kind: typing.Any, node: Node, key: str) -> object:  # noqa: ANN401 - any type hint
        """A value of type `kind` from `node`; ConfigError names the line and `key`."""
        kind = _without_none(kind)
        if dataclasses.is_dataclass(kind) and not issubclass(typing.cast("type", kind), Secret):
            return self._record(typing.cast("type", kind), node, key)
        if typing.get_origin(kind) is tuple:
            return self._list(typing.get_args(kind)[0], node, key)
        if typing.get_origin(kind) is Mapping:
            return self._mapping(typing.get_args(kind)[1], node, key)
        if kind is object:
            return self._plain(node, key)
        return self._scalar(kind, node, key)

    def refuse(self, node: Node, key: str, problem: str, remedy: str) -> typing.NoReturn:
        """Raise the ConfigError for `node`."""
        raise ConfigError(Place(self.file, _line(node.start_mark), key), problem, remedy)

    def _record(self, kind: type, node: Node, key: str) -> object:
        hints = typing.get_type_hints(kind)
        fields = {f.name: f for f in dataclasses.fields(kind)}
        values: dict[str, object] = {}
        for name, name_node, value in self._pairs(node, key):
            where = f"{key}.{name}" if key else name
            if name not in fields:
                self.refuse(name_node, where, "unknown key", _did_you_mean(name, list(fields)))
            about = fields[name].metadata
            values[name] = self.build(hints[name], value, where)
            self._check(about.get("pattern"), about, values[name], value, where)
            for entry, entry_node in self._names(value) if "keys" in about else ():
                self._check(about["keys"], about, entry, entry_node, f"{where}.{entry}")
        self._complete(fields, values, node, key)
        return kind(**values)

    def _check(
        self, pattern: str | None, about: Mapping[str, str], value: object, node: Node, key: str
    ) -> None:
        if pattern is not None and not re.fullmatch(pattern, str(value), re.ASCII):
            self.refuse(node, key, "has the wrong form", f"give {about['means']}")

    def _complete(
        self,
        fields: dict[str, dataclasses.Field[object]],
        values: dict[str, object],
        node: Node,
        key: str,
    ) -> None:
        for name, about in fields.items():
            required = about.default is MISSING and about.default_factory is MISSING
            if required and name not in values:
                where = f"{key}.{name}" if key else name
                self.refuse(node, where, "is missing", f"add `{name}: …` here")

    def _names(self, node: Node) -> Iterator[tuple[str, Node]]:
        yield from ((name.value, name) for name, _ in node.value)

    def _pairs(self, node: Node, key: str) -> Iterator[tuple[str, ScalarNode, Node]]:
        from yaml.nodes import MappingNode, ScalarNode

        if not isinstance(node, MappingNode):
            self.refuse(node, key, f"is {_kind(node)}, not keys with values", "indent `key: value`")
        seen: dict[str, int] = {}
        for name, value in node.value:
            if not isinstance(name, ScalarNode):
                self.refuse(name, key, "has a key that is no text", "write `key: value`")
            if name.value in seen:
                where = f"{key}.{name.value}" if key else name.value
                first = seen[name.value]
                self.refuse(name, where, f"is given twice, first in line {first}", "remove one")
            seen[name.value] = _line(name.start_mark)
            yield name.value, name, value

    def _mapping(self, kind: object, node: Node, key: str) -> dict[str, object]:
        return {name: self.build(kind, value, f"{key}.{name}") for name, _, value in self._pairs(node, key)}

    def _list(self, kind: object, node: Node, key: str) -> tuple[object, ...]:
        from yaml.nodes import SequenceNode

        if not isinstance(node, SequenceNode):
            self.refuse(node, key, f"is {_kind(node)}, not a list", "write it as [one, two]")
        return tuple(self.build(kind, item, f"{key}[{i}]") for i, item in enumerate(node.value))

    def _scalar(self, kind: object, node: Node, key: str) -> object:
        from yaml.nodes import ScalarNode

        if not isinstance(node, ScalarNode) or _tag(node) == "null":
            self.refuse(node, key, f"is {_kind(node)}, not text", "give a value or remove the key")
        if _tag(node) != "str" and not _ACCOUNT_ID.fullmatch(node.value):
            self.refuse(node, key, f"is {_kind(node)}, not text", f'put it in quotes: "{node.value}"')
        text = node.value
        if kind is Path:
            return self.base / text
        if kind is Secret or kind is Url:
            return self._reference(kind, node, key)
        if kind is Key:
            return self._key(node, key)
        return text

    def _reference(self, kind: type[Secret], node: ScalarNode, key: str) -> Secret:
        text = node.value
        if not is_reference(text):
            if kind is Secret:
                self.refuse(node, key, "is a secret written out", HOW_TO_REFER)
            problem = _wrong_with_url(text)
            if problem is not None:
                self.refuse(node, key, problem, f"leave the password out or {HOW_TO_REFER}")
        return kind(text, self.base, Place(self.file, _line(node.start_mark), key))

    def _key(self, node: ScalarNode, key: str) -> Key:
        if not is_reference(node.value, KEY_SCHEMES):
            self.refuse(node, key, "is no reference to a key", HOW_TO_REFER_TO_A_KEY)
        return Key(node.value, self.base, Place(self.file, _line(node.start_mark), key))

    def _plain(self, node: Node, key: str) -> object:
        """What another part of Posture will judge: text, numbers, lists and mappings as they are."""
        from yaml.nodes import MappingNode, ScalarNode

        if isinstance(node, MappingNode):
            return self._mapping(object, node, key)
        if not isinstance(node, ScalarNode):
            return [self._plain(item, f"{key}[{i}]") for i, item in enumerate(node.value)]
        try:
            return _SCALARS.get(_tag(node), str)(node.value)
        except ValueError:
            self.refuse(node, key, f"is {_kind(node)} of an unusual form", "put it in quotes")


_SCALARS: Mapping[str, Callable[[str], object]] = {
    "null": lambda _: None,
    "bool": lambda text: text.lower() in {"true", "yes", "on"},
    "int": lambda text: int(text.replace("_", ""), 0),
    "float": lambda text: float(text.replace("_", "")),
}
_KINDS = {"null": "nothing", "bool": "yes or no", "int": "a number", "float": "a number", "str": "text"}


def _line(mark: Mark | CMark | None) -> int:
    return mark.line + 1 if mark else 0


def _tag(node: Node) -> str:
    return str(node.tag).rpartition(":")[2]


def _kind(node: Node) -> str:
    by_shape = {"MappingNode": "keys with values", "SequenceNode": "a list"}
    return by_shape.get(type(node).__name__) or _KINDS.get(_tag(node), f"a {_tag(node)}")


def _without_none(kind: typing.Any) -> typing.Any:  # noqa: ANN401 - any type hint
    if isinstance(kind, types.UnionType):
        return next(part for part in typing.get_args(kind) if part is not type(None))
    return kind


def _did_you_mean(name: str, known: list[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    return f'did you mean "{near[0]}"?' if near else f"known here: {', '.join(known)}"


def _wrong_with_url(text: str) -> str | None:
    try:
        url = urlsplit(text)
        password = url.password or _PASSWORD_PARAMETERS & parse_qs(url.query).keys()
    except ValueError:
        return "is not a URL"
    if not url.scheme or "://" not in text:
        return "is not a URL"
    return "holds a password written out" if password else None
