"""Migrations of Sequelize and its migrator Umzug, in JavaScript or TypeScript, replayed by `up` alone.

Raw SQL (`queryInterface.sequelize.query`) is read as SQL, and `createTable`, `addColumn` and their
kin as the SQL they stand for, each with its schema. `queryRunner.query` of TypeORM is read alike.
Sequelize opens no transaction around a migration; the one that it opens itself is told as such.
"""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from lint.files import text_of
from lint.history.evaluate import BudgetExceededError, Call, Evaluator
from lint.history.javascript import DEFAULT_EXPORT, EXPORTS, REQUIRED, TooDeepError, lowered
from lint.history.program import Program
from lint.history.sequelize_operations import OPERATIONS, NotKnownError
from lint.history.values import UNKNOWN, Class, Function, Imported, Module, SqlText, Unknown, Value
from lint.reads import noted

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lint.files import SourceFile
    from lint.history.replay import Replay
    from lint.history.statements import Operations

_INTERFACE = "queryInterface"
_LIBRARY = "Sequelize"
_QUERIES = frozenset({"query", "rawQuery"})
_SUFFIXES = (".ts", ".js", ".cjs", ".mjs", ".mts", ".cts", "/index.ts", "/index.js", ".json")
MAX_HOPS = 12


def replay_scripts(files: Iterable[SourceFile], replay: Replay, operations: Operations, root: Path) -> int:
    """Replay migrations in the order given; return how many SQL statements were read."""
    modules = _Modules(root)
    count = 0
    for file in files:
        replay.begin_file(file.path)
        program = Program(file.path, replay, operations)
        text, unreadable = text_of(file)
        if unreadable:
            program.note(unreadable)
        _Migration(program, modules).follow(text.encode(), file)
        count += program.statements
    return count


class _Modules:
    """The project's own JavaScript files, each lowered and evaluated once."""

    def __init__(self, root: Path) -> None:
        self.root = root.resolve()
        self.loaded: dict[Path, Module] = {}
        self._hops = 0

    def module(self, source: bytes, location: Path) -> Module:
        """Evaluate the top level of a program; raise TooDeepError for one nested without end."""
        at = location.resolve()
        tree, required = lowered(source, at.suffix)
        module = Module()
        self.loaded[at] = module
        module.load = lambda wanted: self._load(wanted, at)
        module.read = self.text
        module.names.update({f"{REQUIRED}{name}": Imported(name, "") for name in required})
        module.names.update({"__dirname": at.parent.as_posix(), "__filename": at.as_posix()})
        Evaluator(module, _constructor).run_module(tree.body)
        return module

    def _load(self, wanted: Imported, importer: Path) -> Value:
        path = _resolved(wanted.module, importer)
        if path is None or self.root not in path.parents or self._hops > MAX_HOPS:
            return Unknown(f"{wanted.module}.{wanted.name}".strip("."))
        self._hops += 1
        try:
            module = self.loaded.get(path) or self.module(path.read_bytes(), path)
        except (OSError, TooDeepError, RecursionError):
            return UNKNOWN
        finally:
            self._hops -= 1
        return self._export(module, wanted.name)

    def _export(self, module: Module, name: str) -> Value:
        whole = module.names.get(EXPORTS, module)
        if name in {"", DEFAULT_EXPORT}:
            return module.names.get(DEFAULT_EXPORT, whole)
        held = whole if isinstance(whole, dict) else module.names
        found = held.get(name, UNKNOWN)
        return module.load(found) if isinstance(found, Imported) else found

    def text(self, path: PurePosixPath) -> Value:
        """Return the text of a file below the root, UNKNOWN of any other."""
        found = Path(path).resolve()
        try:
            return noted(found).read_text(encoding="utf-8") if self.root in found.parents else UNKNOWN
        except (OSError, UnicodeDecodeError):
            return UNKNOWN


def _resolved(wanted: str, importer: Path) -> Path | None:
    if not wanted.startswith("."):
        return None
    plain = (importer.parent / wanted).resolve()
    candidates = [plain, *(Path(f"{plain}{suffix}") for suffix in _SUFFIXES)]
    if plain.suffix in {".js", ".mjs", ".cjs"}:  # TypeScript imports by the name of the output
        candidates.append(plain.with_suffix(plain.suffix.replace("js", "ts")))
    return next((path for path in candidates if noted(path).is_file() and path.suffix != ".json"), None)


def _constructor(call: Call) -> Value:
    """Know what a program's top level builds of the library's values: `Sequelize.literal(…)`."""
    first = call.arguments[0] if call.arguments else None
    if call.name in {"literal", "Literal"} and isinstance(first, str):
        return SqlText(first)
    if call.name == "fn" and isinstance(first, str):
        return SqlText(f"{first}()")
    return UNKNOWN


class _Migration:
    """One migration followed: what its `up` does, told to the replay."""

    def __init__(self, program: Program, modules: _Modules) -> None:
        self.program = program
        self.modules = modules
        self.evaluator: Evaluator | None = None

    def follow(self, source: bytes, file: SourceFile) -> None:
        """Follow `up`, whatever way the file exports it."""
        try:
            module = self.modules.module(source, file.location)
            function = _way_up(module)
            if function is None:
                self.program.note("its `up` was not found, so nothing of it was read")
                return
            module.names["its up"] = function
            self.evaluator = Evaluator(module, self._effect)
            if not self.evaluator.call_function("its up", [Unknown(_INTERFACE), Unknown(_LIBRARY)]):
                self.program.note("`up` ends in an exception, so what comes after it was not read")
        except (BudgetExceededError, TooDeepError, RecursionError) as error:
            self.program.note(f"`up` cannot be followed to its end ({error})")

    def _effect(self, call: Call) -> Value:
        made = _constructor(call)
        if made is not UNKNOWN:
            return made
        if call.name in _QUERIES and isinstance(call.owner, Unknown):
            self._query(call)
        elif call.name == "transaction" and self.evaluator is not None:
            return self._transaction(call, self.evaluator)
        elif call.name in {"commit", "rollback"} and "transaction" in call.path:
            self.program.sql(call.name.upper(), call.node)
        elif call.name in OPERATIONS and call.path.startswith(_INTERFACE):
            self._operation(call)
        elif call.name in {"readFileSync", "readFile"} and call.arguments:
            return self._file(call.arguments[0])
        return UNKNOWN

    def _query(self, call: Call) -> None:
        text = call.arguments[0] if call.arguments else UNKNOWN
        if isinstance(text, dict):
            text = text.get("query", text.get("text", UNKNOWN))
        if isinstance(text, str):
            self.program.sql(text, call.node)
        elif call.path.startswith(_INTERFACE):
            self.program.note("a query of text that is known only when it runs", call.node)

    def _transaction(self, call: Call, evaluator: Evaluator) -> Value:
        """Follow the function that runs inside a transaction, or begin one that is kept in a name."""
        self.program.sql("BEGIN", call.node)
        work = next((argument for argument in call.arguments if isinstance(argument, Function)), None)
        if work is None:
            return Unknown("transaction()")
        result = evaluator.follow(work, [Unknown("transaction()")], {})
        self.program.sql("COMMIT", call.node)
        return [result]

    def _operation(self, call: Call) -> None:
        try:
            for statement in OPERATIONS[call.name](call.arguments):
                self.program.sql(statement, call.node)
        except NotKnownError as error:
            self.program.note(f"{_INTERFACE}.{call.name}: {error}", call.node)

    def _file(self, path: Value) -> Value:
        return self.modules.text(PurePosixPath(path)) if isinstance(path, str) else UNKNOWN


def _way_up(module: Module) -> Function | None:
    """Return the function that is the migration: exported by name, in an object, or of a class."""
    holders = [module.names, module.names.get(EXPORTS), module.names.get(DEFAULT_EXPORT)]
    holders += [value for value in module.names.values() if isinstance(value, Class)]
    for holder in holders:
        names = holder.names if isinstance(holder, Class) else holder
        found = names.get("up") if isinstance(names, dict) else None
        if isinstance(found, Function):
            return found
    return None
