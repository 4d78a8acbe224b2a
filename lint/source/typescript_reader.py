"""The state of reading one TypeScript file, and the loop that drives its visits.

A visit is a generator: it yields the visits it depends on and gets their values back. One loop runs
them on a list of its own, so that a file nested ten thousand deep is read like any other.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from lint.catalogue import Place
from lint.limits import check_time
from lint.source.sites import Call, Class, Do, Function, Reference, Step, Text
from lint.source.typescript_nodes import TEXT_BYTES

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tree_sitter import Node

    from lint.source.sites import Block

#: How many names and keys of one expression are kept; more is a table of data, not code.
NAMES_KEPT = 64
#: How many visits are driven between two looks at the clock.
_CHECKED_EVERY = 256
#: How many of the calls around a string are kept: SQL stands close to what runs it.
_CALLERS_KEPT = 8


class Use(NamedTuple):
    """What becomes of an expression's value."""

    awaited: bool = False
    #: An expression statement: the value is thrown away.
    dropped: bool = False
    bound_to: tuple[str, ...] = ()
    #: What a function or object written here is called by what it is assigned to.
    named: str = ""


PLAIN = Use()


class Value(NamedTuple):
    """What an expression told: names read, the call it is, the functions and keys written in it."""

    names: tuple[str, ...] = ()
    call: Call | None = None
    #: The qualified name, when the expression is a function.
    function: str | None = None
    functions: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()
    #: Constants of an object literal, by their keys' paths.
    constants: tuple[tuple[str, str], ...] = ()
    #: The names whose own value it is, or is a part of: `tx` and `x` in `a ? tx : [x, f(y)]`.
    whole: tuple[str, ...] = ()


NOTHING = Value()
Visit: TypeAlias = "Generator[Visit, Value, Value]"


def merged(values: Iterable[Value]) -> Value:
    """Return what several expressions told together."""
    telling = [value for value in values if value.names or value.functions]
    if len(telling) <= 1:
        return Value(telling[0].names, functions=telling[0].functions) if telling else NOTHING
    names = dict.fromkeys(name for value in telling for name in value.names)
    functions = [name for value in telling for name in value.functions]
    return Value(tuple(names)[:NAMES_KEPT], functions=tuple(functions[:NAMES_KEPT]))


def whole_of(values: Iterable[Value]) -> tuple[str, ...]:
    """Return the names that several values are, for a value that may be or hold any of them."""
    return tuple(dict.fromkeys(name for value in values for name in value.whole))[:NAMES_KEPT]


def run(first: Visit) -> Value:
    """Drive a visit and all that it yields to its end."""
    stack = [first]
    result: Value | None = None
    turns = 0
    while stack:
        turns += 1
        if turns % _CHECKED_EVERY == 1:
            check_time()
        try:
            following = stack[-1].send(result)  # type: ignore[arg-type]  # a new visit takes None
        except StopIteration as stop:
            stack.pop()
            result = stop.value
        else:
            stack.append(following)
            result = None
    return result or NOTHING


@dataclass(slots=True)
class Names:
    """The plain names that a function declares, assigns and reads, to tell which are not its own."""

    declared: set[str] = field(default_factory=set)
    assigned: dict[str, None] = field(default_factory=dict)
    read: dict[str, None] = field(default_factory=dict)

    def free(self) -> tuple[str, ...]:
        """Return the dotted names read that the function does not declare itself, and what holds them."""
        found: dict[str, None] = {}
        for name in self.read:
            holder = name.partition(".")[0]
            if holder not in self.declared:
                found.update({name: None, holder: None})
        return tuple(found)[:NAMES_KEPT]

    def outer(self) -> tuple[str, ...]:
        """Return the names whose assignment reaches out of the function."""
        return tuple(name for name in self.assigned if name not in self.declared)


@dataclass(slots=True)
class Scope:
    """Where the walk stands: the function, what leads to it by name, and the class around."""

    function: str = ""
    #: The names that lead from the function to what is visited: "jobs" inside `const jobs = {…}`.
    root: str = ""
    #: The base classes, when the walk stands directly in a class's body.
    bases: tuple[str, ...] = ()
    #: True when an unlabelled `break` leaves a switch, not a loop.
    in_switch: bool = False
    #: Types written on the function's parameters and variables, or on the class's attributes.
    types: dict[str, str] = field(default_factory=dict)
    names: Names = field(default_factory=Names)


@dataclass(slots=True)
class Reader:
    """What was read so far of one file, and the block that steps are added to."""

    path: str
    content: bytes
    watched: frozenset[str] | None = None
    calls: list[Call] = field(default_factory=list)
    references: list[Reference] = field(default_factory=list)
    texts: list[Text] = field(default_factory=list)
    imports: dict[str, str] = field(default_factory=dict)
    functions: dict[str, Function] = field(default_factory=dict)
    classes: dict[str, Class] = field(default_factory=dict)
    exports: dict[str, str] = field(default_factory=dict)
    stars: list[str] = field(default_factory=list)
    #: Names that each function reads from around it, by its qualified name.
    free: dict[str, tuple[str, ...]] = field(default_factory=dict)
    callers: list[str] = field(default_factory=list)
    #: The nodes of templates that have a tag.
    tagged: set[int] = field(default_factory=set)
    scope: Scope = field(default_factory=Scope)
    #: Names of functions whose bodies are still being read; they are taken as well.
    _taken: set[str] = field(default_factory=set)
    _blocks: list[list[Step]] = field(default_factory=lambda: [[]])

    def place(self, node: Node) -> Place:
        """Return where a node stands."""
        (line, column), (end, _) = node.start_point, node.end_point
        return Place(self.path, line + 1, column + 1, end + 1)

    def shown(self, node: Node) -> str:
        """Return an expression's text, cut; unlike `node.text` it never copies the whole of it."""
        start = node.start_byte
        end = min(node.end_byte, start + TEXT_BYTES)
        return self.content[start:end].decode("utf-8", "replace")

    def resolved(self, dotted: str) -> str:
        """Return a dotted name with the import that its first part names."""
        first, dot, rest = dotted.partition(".")
        return self.imports.get(first, first) + dot + rest

    def step(self, step: Step) -> None:
        """Add a step to the block that is being read."""
        self._blocks[-1].append(step)

    def take_back(self, call: Call) -> bool:
        """Take back the step of a call just made, and say whether that was the last one."""
        block = self._blocks[-1]
        last = block[-1] if block else None
        if isinstance(last, Do) and last.call is call:
            block.pop()
            return True
        return False

    def open_block(self) -> None:
        """Begin a block inside the one that is being read."""
        self._blocks.append([])

    def close_block(self) -> Block:
        """End the innermost block and return its steps."""
        return tuple(self._blocks.pop())

    def text(self, value: str, node: Node, holes: tuple[str, ...] = ()) -> None:
        """Note a string, with the calls it is an argument of."""
        tagged = node.id in self.tagged
        callers = tuple(self.callers[-_CALLERS_KEPT:])
        self.texts.append(Text(value, callers, self.scope.function, self.place(node), holes, tagged))

    def reference(self, written: str, node: Node) -> None:
        """Note a name read as a value; as a reference only when it is watched."""
        self.scope.names.read[written] = None
        target = self.resolved(written)
        if self.watched is not None and not self._is_watched(target) and not self._is_watched(written):
            return
        self.references.append(Reference(target, self.scope.function, self.place(node)))

    def _is_watched(self, name: str) -> bool:
        return self.watched is not None and name.rpartition(".")[2] in self.watched

    def qualified(self, local: str, node: Node) -> str:
        """Return a name that no function of the file has yet, for one written at `node`."""
        outer = self.scope.function
        if not local:
            root = self.scope.root if not outer else ""
            local = f"{root}.<anonymous:{node.start_point[0] + 1}>".lstrip(".")
        name = f"{outer}.{local}" if outer else local
        if name in self._taken:
            line, column = node.start_point
            name = f"{name}@{line + 1}:{column + 1}"
        self._taken.add(name)
        return name
