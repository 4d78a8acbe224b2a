"""Which class of the program a name holds an object of, as far as the source says it.

A type is believed where it is written (a parameter, a variable, an attribute, what a function
returns) or where the object is made (`x = Class()`). Everything else is not known.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from lint.source.modules import Modules, Symbol
from lint.source.sites import Attempt, Bind, Choice, Repeat, Within

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lint.source.sites import Block, Call, Function, Source, Step

SELF_NAMES = frozenset({"self", "this", "cls"})
_NAMES = re.compile(r"[A-Za-z_]\w*(?:\.\w+)*")
_DEEPEST = 8


def steps_of(block: Block) -> Iterator[Step]:
    """Yield every step of a block, those inside others too, in the order they stand."""
    waiting = list(reversed(block))
    while waiting:
        step = waiting.pop()
        yield step
        for inner in reversed(inner_blocks(step)):
            waiting.extend(reversed(inner))


def inner_blocks(step: Step) -> tuple[Block, ...]:
    """Return the blocks that stand inside a step."""
    if isinstance(step, Choice):
        return step.branches
    if isinstance(step, Attempt):
        return (step.body, *step.handlers, step.always)
    return (step.body,) if isinstance(step, Repeat | Within) else ()


def around(function: str) -> Iterator[str]:
    """Yield a function's qualified name, then those of what stands around it, "" last."""
    while function:
        yield function
        function = function.rpartition(".")[0]
    yield ""


class Holders:
    """The classes that names hold objects of, found when asked for."""

    def __init__(self, modules: Modules) -> None:
        self.modules = modules
        self._made: dict[str, dict[tuple[str, str], list[Call]]] = {}
        self._binds: dict[tuple[str, str], dict[str, list[Bind]]] = {}
        self._known: dict[tuple[str, str, str], Symbol | None] = {}
        self._last_names: dict[str, frozenset[str]] = {}

    def class_around(self, source: Source, function: str) -> Symbol | None:
        """Return the class whose body a function stands in, at any depth."""
        for name in around(function):
            if name and self.modules.is_class(source.path, name):
                return Symbol(source.path, name, is_class=True)
        return None

    def held(self, source: Source, function: str, dotted: str, depth: int = 0) -> Symbol | None:
        """Return the class of what a dotted name holds in a function."""
        key = (source.path, function, dotted)
        if key in self._known:
            return self._known[key]
        if depth > _DEEPEST:
            return None
        self._known[key] = None  # a name that depends on itself holds nothing known
        first, _, rest = dotted.partition(".")
        if first in SELF_NAMES:
            found = self.class_around(source, function)
        else:
            found = self._variable(source, function, first, depth)
        for attribute in rest.split(".") if rest else ():
            found = self.attribute(found, attribute, depth + 1) if found is not None else None
        self._known[key] = found
        return found

    def _variable(self, source: Source, function: str, name: str, depth: int) -> Symbol | None:
        for scope in around(function):
            written = source.functions.get(scope)
            if written is None:
                continue
            found = self._in_function(source, written, name, depth)
            if found is not None or name in written.parameters:
                return found
        return None

    def _in_function(self, source: Source, function: Function, name: str, depth: int) -> Symbol | None:
        if name in function.types:
            return self.typed(function.types[name], source, function.name)
        for call in self._calls_bound(source).get((function.name, name), ()):
            found = self.made_by(call, source, depth + 1)
            if found is not None:
                return found
        for bind in self.binds(source, function).get(name, ()):
            if len(bind.names) == 1 and bind.names[0] != name:
                found = self.held(source, function.name, bind.names[0], depth + 1)
                if found is not None:
                    return found
        return None

    def attribute(self, owner: Symbol, name: str, depth: int = 0) -> Symbol | None:
        """Return the class of an attribute, from its type or from what a method puts there."""
        for base in self.modules.bases(owner.path, owner.name):
            source = self.modules.sources[base.path]
            listed = source.classes.get(base.name)
            if listed is not None and name in listed.attributes:
                return self.typed(listed.attributes[name], source, base.name)
            found = self._put_by_methods(source, base, name, depth)
            if found is not None:
                return found
        return None

    def _put_by_methods(self, source: Source, owner: Symbol, name: str, depth: int) -> Symbol | None:
        for function in source.functions.values():
            if function.name.rpartition(".")[0] != owner.name:
                continue
            for written in (f"self.{name}", f"this.{name}"):
                found = self._in_function(source, function, written, depth)
                if found is not None:
                    return found
        return None

    def typed(self, text: str, source: Source, function: str) -> Symbol | None:
        """Return the first class of the program that a written type names."""
        for name in _NAMES.findall(text):
            if name == "Self":
                return self.class_around(source, function)
            found = self.defined(name, source, function)
            if found is not None and found.is_class:
                return found
        return None

    def defined(self, dotted: str, source: Source, function: str) -> Symbol | None:
        """Return what a name stands for by definition or import, seen from a function."""
        first, dot, rest = dotted.partition(".")
        is_own = dotted.rpartition(".")[2] in self._defined_in(source)
        for scope in around(function) if is_own else ():
            if scope and scope != function and self.modules.is_class(source.path, scope):
                continue  # names of a class's body are not seen from its methods
            found = self.modules.symbol(source.path, f"{scope}.{dotted}".lstrip("."))
            if found is not None:
                return found
        if first in source.imports:
            return self.modules.find(source.imports[first] + dot + rest, source.path)
        for module in source.star_exports if source.language == "python" else ():
            found = self.modules.find(f"{module}.{dotted}", source.path)
            if found is not None:
                return found
        return None

    def _defined_in(self, source: Source) -> frozenset[str]:
        """Return the last parts of the names that a file defines: no other name stands for one of them."""
        if source.path not in self._last_names:
            names = (*source.functions, *self.modules.classes_of(source.path))
            self._last_names[source.path] = frozenset(name.rpartition(".")[2] for name in names)
        return self._last_names[source.path]

    def made_by(self, call: Call, source: Source, depth: int = 0) -> Symbol | None:
        """Return the class of what a call returns: it makes one, or what it calls says so."""
        target = self.called(call, source, depth)
        if target is None:
            return None
        if target.is_class:
            return target
        there = self.modules.sources[target.path]
        function = there.functions.get(target.name)
        if function is None or not function.returns:
            return None
        if "Self" in _NAMES.findall(function.returns):
            owner = self._named_owner(call, source)
            return owner or self.class_around(there, function.name)
        return self.typed(function.returns, there, function.name)

    def _named_owner(self, call: Call, source: Source) -> Symbol | None:
        """Return the class that a method is called on: `Service` in `Service.open()`."""
        holder = call.written.rpartition(".")[0]
        held = self.held(source, call.function, holder) if holder else None
        return held or (self.defined(holder, source, call.function) if holder else None)

    def is_foreign(self, source: Source, function: str, dotted: str) -> bool:
        """Say whether a name is known to hold something that is no part of the program."""
        name = dotted.partition(".")[0]
        for scope in around(function):
            written = source.functions.get(scope)
            if written is None:
                continue
            if name in written.types:
                return self.typed(written.types[name], source, scope) is None
            made = self._calls_bound(source).get((scope, name), ())
            if made:
                return all(self.is_outside(call, source) for call in made)
        return False

    def is_outside(self, call: Call, source: Source) -> bool:
        """Say whether a call begins with an import that is no part of the program."""
        while call.receiver is not None:
            call = call.receiver
        head = call.written.partition(".")[0]
        return head in source.imports and self.modules.find(call.callee, source.path) is None

    def called(self, call: Call, source: Source, depth: int = 0) -> Symbol | None:
        """Return the function or class that a call names, None when that is not known."""
        if call.receiver is not None and call.written.count(".") == 1 and call.written.startswith("()"):
            if call.receiver.written == "super":
                return self._inherited(call, source)
            owner = self.made_by(call.receiver, source, depth + 1) if depth < _DEEPEST else None
            return self._method(owner, call.name)
        return self.meant(call.written, source, call.function, depth)

    def meant(self, written: str, source: Source, function: str, depth: int = 0) -> Symbol | None:
        """Return the function or class that a name as written stands for."""
        if written == "cls":
            return self.class_around(source, function)
        holder, _, name = written.rpartition(".")
        if holder:
            owner = self.held(source, function, holder, depth)
            if owner is not None:
                return self._method(owner, name)
        found = self.defined(written, source, function)
        if found is None and holder:
            outer = self.defined(holder, source, function)
            return self._method(outer, name) if outer is not None and outer.is_class else None
        return found

    def _method(self, owner: Symbol | None, name: str) -> Symbol | None:
        found = self.modules.method(owner, name) if owner is not None else None
        return Symbol(*found) if found is not None else None

    def _inherited(self, call: Call, source: Source) -> Symbol | None:
        owner = self.class_around(source, call.function)
        bases = self.modules.bases(owner.path, owner.name)[1:] if owner is not None else ()
        return next((found for base in bases if (found := self._method(base, call.name))), None)

    def _calls_bound(self, source: Source) -> dict[tuple[str, str], list[Call]]:
        if source.path not in self._made:
            bound: dict[tuple[str, str], list[Call]] = {}
            for call in source.calls:
                for name in call.bound_to:
                    bound.setdefault((call.function, name), []).append(call)
            self._made[source.path] = bound
        return self._made[source.path]

    def made(self, source: Source, function: str, name: str) -> frozenset[str]:
        """Return the functions, as written, whose results a name of a function is bound to."""
        return frozenset(call.written for call in self._calls_bound(source).get((function, name), ()))

    def binds(self, source: Source, function: Function) -> dict[str, list[Bind]]:
        """Return a function's assignments by what they bind."""
        key = (source.path, function.name)
        if key not in self._binds:
            found: dict[str, list[Bind]] = {}
            for step in steps_of(function.body):
                if isinstance(step, Bind):
                    for target in step.targets:
                        found.setdefault(target, []).append(step)
            self._binds[key] = found
        return self._binds[key]
