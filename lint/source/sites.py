"""What a source file does that bears on tenancy, whatever language it is written in.

An extractor for each language fills these; the call graph and the rules read only these. Names of
callees have import aliases resolved; names of functions are qualified within their file
("Class.method", "outer.inner", "" for the module's top level, "outer.<anonymous:LINE>" for a lambda
or arrow function).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lint.catalogue import Place

Language = Literal["python", "typescript"]
ArgumentKind = Literal["literal", "member", "name", "function", "other"]
#: A `yield` hands a value out and control comes back; the others end the path they stand on.
LeaveKind = Literal["return", "raise", "break", "continue", "yield"]

#: Stands in a text for an interpolated part; a valid identifier, so that the SQL still parses.
HOLE = "__not_known__"


@dataclass(frozen=True, slots=True)
class Argument:
    """One argument of a call: `member` is a dotted constant, `function` an anonymous function."""

    kind: ArgumentKind
    text: str
    keyword: str | None = None
    #: The dotted names read inside it, as written; of an object literal, those of its values.
    names: tuple[str, ...] = ()
    #: The qualified name of the anonymous function, when it is one.
    function: str | None = None
    #: Qualified names of the functions written inside it, such as an object literal's methods.
    functions: tuple[str, ...] = ()
    #: Of an object literal, its keys with their paths: ("where", "where.tenantId").
    keys: tuple[str, ...] = ()
    #: Of an object literal, the constants in it by their keys' paths: (("tableName", "invoice"),);
    #: a call shows the constant it begins with: `{ id: uuid("key").notNull() }` is ("id()", "key").
    constants: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Call:
    """A call: the callee with import aliases resolved, as written, and the function around it."""

    callee: str
    written: str
    arguments: tuple[Argument, ...]
    function: str
    place: Place
    awaited: bool = False
    #: The names its result is bound to at once, such as `rows` or `self.session`.
    bound_to: tuple[str, ...] = ()
    #: The call whose result this one is a method of: `db.select()` in `db.select().from(t)`.
    receiver: Call | None = None
    #: True for a statement of its own that nobody awaits, returns or keeps.
    dropped: bool = False

    @property
    def name(self) -> str:
        """The last part of the callee."""
        return self.callee.rpartition(".")[2]


@dataclass(frozen=True, slots=True)
class Reference:
    """A name used as a value instead of being called."""

    target: str
    function: str
    place: Place


@dataclass(frozen=True, slots=True)
class Text:
    """A string that is no documentation: its value, and the calls it is an argument of."""

    value: str
    calls: tuple[str, ...]
    function: str
    place: Place
    #: The names interpolated into it, in order; one HOLE stands in the value for each.
    holes: tuple[str, ...] = ()
    #: True when what is interpolated goes to the tag as values (sql`… ${id}`), not into the text.
    tagged: bool = False


@dataclass(frozen=True, slots=True)
class Do:
    """A call is made, its arguments evaluated before."""

    call: Call


@dataclass(frozen=True, slots=True)
class Choice:
    """One of the branches runs (if, match, switch, a ternary); an absent else is an empty block."""

    branches: tuple[Block, ...]
    #: The name whose presence is asked for ("tenant" in `if tenant is None`), "" for any other condition.
    asked: str = ""
    #: Which branch runs when it is missing: none was given, or nothing.
    missing: int = 0


@dataclass(frozen=True, slots=True)
class Repeat:
    """A loop: its body runs any number of times; `over` are the names it iterates over."""

    body: Block
    variables: tuple[str, ...] = ()
    over: tuple[str, ...] = ()
    #: True for `while True`: it begins at least once, and only break, return or raise end it.
    endless: bool = False


@dataclass(frozen=True, slots=True)
class Attempt:
    """try: the body may stop anywhere and a handler runs instead; `always` is finally."""

    body: Block
    handlers: tuple[Block, ...] = ()
    always: Block = ()


@dataclass(frozen=True, slots=True)
class Within:
    """A `with` (or `using`) block: the call that opens it, what it is called inside, its body.

    The call that opens it stands here only, not as a Do before; the calls in its arguments do.
    """

    call: Call | None
    name: str
    body: Block
    #: What is opened, as written, when it is no call: `lock` in `with lock:`.
    written: str = ""


@dataclass(frozen=True, slots=True)
class Bind:
    """An assignment: targets as written ("x", "self.x", "cache[]"), names read on the right side."""

    targets: tuple[str, ...]
    names: tuple[str, ...]
    place: Place
    #: The text of the right side when it is a constant ("None", "'*'"), "" otherwise.
    constant: str = ""
    #: The names whose own value is bound: the right side itself, or elements of a tuple or list there.
    values: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Leave:
    """Control leaves: `names` are those read in what is returned or raised."""

    kind: LeaveKind
    names: tuple[str, ...]
    place: Place
    #: The names whose own value goes out: `session` in `return session`, not in `return session.get(x)`.
    values: tuple[str, ...] = ()


Step = Do | Choice | Repeat | Attempt | Within | Bind | Leave
#: Steps in the order they run.
Block = tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class Function:
    """A function or method: what it is called with, what stands around it, and its steps in order."""

    name: str
    place: Place
    parameters: tuple[str, ...] = ()
    #: Decorators with aliases resolved, without their arguments.
    decorators: tuple[str, ...] = ()
    #: Base classes of the class directly around it, aliases resolved.
    bases: tuple[str, ...] = ()
    body: Block = ()
    asynchronous: bool = False
    exported: bool = False
    #: Types written on parameters and on variables of the body, by name.
    types: Mapping[str, str] = field(default_factory=dict)
    #: What parameters are when nothing is given, as written: a name, a constant, a call.
    defaults: Mapping[str, str] = field(default_factory=dict)
    #: The type written for what it returns, "" when there is none.
    returns: str = ""
    #: Names declared global or nonlocal: binding them reaches out of the function.
    outer: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Class:
    """A class: its bases with aliases resolved, and the types written on its attributes."""

    name: str
    place: Place
    bases: tuple[str, ...] = ()
    decorators: tuple[str, ...] = ()
    #: Types written on attributes, in the class's body or on `self.x: T = ...`, by attribute.
    attributes: Mapping[str, str] = field(default_factory=dict)
    exported: bool = False


@dataclass(frozen=True, slots=True)
class Source:
    """One source file, as far as the rules read it."""

    path: str
    calls: tuple[Call, ...]
    references: tuple[Reference, ...]
    texts: tuple[Text, ...]
    imports: Mapping[str, str]
    language: Language = "python"
    functions: Mapping[str, Function] = field(default_factory=dict)
    #: True when the parser met syntax it could not read.
    broken: bool = False
    #: The first line of what was passed over because of that, 0 when no statement was.
    lost: int = 0
    #: TypeScript: exported name to the function of this file, or the "module.name", that it is.
    exports: Mapping[str, str] = field(default_factory=dict)
    #: Modules all of whose names are handed on (`export * from "./x"`, `from x import *`).
    star_exports: tuple[str, ...] = ()
    classes: Mapping[str, Class] = field(default_factory=dict)


def unread(path: str, language: Language) -> Source:
    """Return the source of a file of which nothing is known."""
    return Source(path, (), (), (), {}, language, broken=True)
