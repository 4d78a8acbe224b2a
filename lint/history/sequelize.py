"""Migrations in JavaScript or TypeScript (Sequelize, TypeORM, slonik, postgres.js, Knex, …), by `up` alone.

Raw SQL (`queryInterface.sequelize.query`, `queryRunner.query`, `knex.raw`, a template tagged `sql`) is
read as SQL, and Sequelize's `createTable`, `addColumn` and their kin as the SQL they stand for, each
with its schema. `run` and `migrate` are ways up too. Sequelize opens no transaction around a migration;
the one that it opens itself is told as such. What other tools' schema builders make is not read, and said.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from lint.files import text_of
from lint.history import tagged
from lint.history.ddl import dotted
from lint.history.evaluate import AWAIT, BudgetExceededError, Call, Evaluator
from lint.history.javascript import DEFAULT_EXPORT, EXPORTS, REQUIRED, TooDeepError, lowered
from lint.history.program import Program
from lint.history.sequelize_operations import OPERATIONS, NotKnownError
from lint.history.values import (
    HOLE,
    POSTGRES,
    UNKNOWN,
    Class,
    Function,
    Imported,
    Module,
    Query,
    SqlText,
    Unknown,
    Value,
)
from lint.history.work import Transaction
from lint.limits import TooSlowError, file_deadline
from lint.reads import noted

if TYPE_CHECKING:
    import ast
    from collections.abc import Iterable

    from lint.files import SourceFile
    from lint.history.replay import Replay
    from lint.history.statements import Operations

_INTERFACE, _TRANSACTION = tagged.GIVEN
_LIBRARY = "Sequelize"
_QUERIES = frozenset(
    {"query", "rawQuery", "execute", "exec", "sql", "addSql", "any", "many", "one", "none", "maybeOne"}
    | {"anyFirst", "manyFirst", "oneFirst", "maybeOneFirst", "exists", "multi", "result", "queryRaw"}
    | {"$executeRaw", "$executeRawUnsafe", "$queryRaw", "$queryRawUnsafe", "executeRaw", "executeQuery"}
)
#: Those that take plain text too.
_OF_TEXT = frozenset(
    {"query", "rawQuery", "execute", "sql", "addSql", "$executeRawUnsafe", "$queryRawUnsafe", "executeRaw"}
)
_TRANSACTIONS = frozenset({"transaction", "begin", "$transaction", "tx"})
_FILES = frozenset({"readFileSync", "readFile", "file"})
#: Where Knex and Kysely have their schema builders.
_BUILDER_PATHS = (f"{_INTERFACE}.schema.", f"{_TRANSACTION}.schema.")
_PGM = re.compile(rb"\bpgm\b|\bnode-pg-migrate\b")
_DEFINES = re.compile(
    r"^\s*(?:--[^\n]*\n\s*)*(?:create|alter|drop|grant|revoke|do|insert|update|set)\s", re.IGNORECASE
)
_BUILDING = frozenset(
    {"createTable", "createTableIfNotExists", "alterTable", "table", "dropTable", "dropTableIfExists"}
    | {"createIndex", "createView", "addColumns", "addConstraint", "createFunction", "createPolicy"}
)
_WAYS_UP = ("up", "run", "migrate")
#: By which names a migration asks for no transaction around it, and with which value.
_NO_TRANSACTION = {"noTransaction": True, "transaction": False, "useTransaction": False}
_SUFFIXES = (".ts", ".js", ".cjs", ".mjs", ".mts", ".cts", "/index.ts", "/index.js", ".json")
MAX_HOPS = 12


def replay_scripts(files: Iterable[SourceFile], replay: Replay, operations: Operations, root: Path) -> int:
    """Replay migrations in the order given; return how many SQL statements were read."""
    modules = ScriptModules(root)
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


class ScriptModules:
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


def exported_functions(module: Module) -> Iterator[Value]:
    """Yield what a module holds by name and exports: functions, classes, and what its objects hold."""
    seen: set[int] = set()
    for holder in (module.names, module.names.get(EXPORTS), module.names.get(DEFAULT_EXPORT)):
        for value in list(holder.values()) if isinstance(holder, dict) else [holder]:
            if id(value) not in seen:
                seen.add(id(value))
                yield value


def followed(
    file: SourceFile,
    program: Program,
    modules: ScriptModules,
    functions: Callable[[Module], Iterable[Function]],
) -> None:
    """Follow functions of a program as a migration's way up is followed."""
    module = modules.module(text_of(file)[0].encode(), file.location)
    migration = _Migration(program, modules)
    migration.evaluator = Evaluator(module, migration.effect)
    for function in functions(module):
        _, result = migration.evaluator.outcome(function, [])
        migration.run(result)


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
    if call.name == "getDialect":
        return POSTGRES
    if call.name in {"literal", "Literal"} and isinstance(first, str):
        return SqlText(first)
    if call.name == "fn" and isinstance(first, str):
        return SqlText(f"{first}()")
    if isinstance(first, dict) and any(isinstance(first.get(name), Function) for name in _WAYS_UP):
        return first
    return tagged.made(call)


class _Migration:
    """One migration followed: what its `up` does, told to the replay."""

    def __init__(self, program: Program, modules: ScriptModules) -> None:
        self.program = program
        self.modules = modules
        self.evaluator: Evaluator | None = None
        #: True when the object that the migration is given is node-pg-migrate's.
        self.is_pgm = False
        #: True when the file is a migration by its name or its words: any other may only lie beside them.
        self.is_step = False

    def follow(self, source: bytes, file: SourceFile) -> None:
        """Follow `up`, whatever way the file exports it."""
        self.is_pgm = _PGM.search(source) is not None
        self.is_step = file.is_script_migration or file.location.name[:1].isdigit()
        try:
            with file_deadline():
                self._follow(self.modules.module(source, file.location))
        except (BudgetExceededError, TooDeepError, TooSlowError, RecursionError) as error:
            self.program.note(f"`up` cannot be followed to its end ({error})")

    def _follow(self, module: Module) -> None:
        work, holder = _way_up(module)
        if any(holder.get(name) is value for name, value in _NO_TRANSACTION.items()):
            self.program.apply([Transaction("none")])
        if isinstance(work, str):
            self.run(work)
        elif work is None and self.is_step:
            self.program.note("its `up` was not found, so nothing of it was read")
        elif work is not None:
            self.evaluator = Evaluator(module, self.effect)
            ended, result = self.evaluator.outcome(work, [Unknown(_INTERFACE), Unknown(_LIBRARY)])
            self.run(result)
            if not ended:
                self.program.note("`up` ends in an exception, so what comes after it was not read")

    def effect(self, call: Call) -> Value:
        """Do what a call that is not followed does to the database."""
        made = _constructor(call)
        if made is not UNKNOWN:
            return made
        if isinstance(call.owner, Query):
            return self._on_query(call.owner, call)
        if call.path.startswith(_BUILDER_PATHS) or (self.is_pgm and call.name in _BUILDING):
            return self._builder(call)
        if call.name in _QUERIES and isinstance(call.owner, Unknown):
            return self._query(call)
        if call.name in _TRANSACTIONS and self.evaluator is not None:
            return self._transaction(call, self.evaluator)
        if call.name in {"commit", "rollback"} and "transaction" in call.path:
            self.program.sql(call.name.upper(), call.node)
        elif call.name in OPERATIONS and call.path.startswith(_INTERFACE):
            self._operation(call)
        elif call.name in _FILES and call.arguments:
            return self._file(call.arguments[0])
        return UNKNOWN

    def run(self, value: Value, node: ast.expr | None = None) -> None:
        """Run what a migration awaits or returns: queries, alone, in lists, or named in an object."""
        if isinstance(value, Query):
            self._run_query(value, node)
        elif isinstance(value, (list, dict)):
            for item in value.values() if isinstance(value, dict) else value:
                self.run(item, node)
        elif isinstance(value, str) and node is None and _DEFINES.search(value):
            self.program.sql(value)

    def _run_query(self, query: Query, node: ast.expr | None = None) -> None:
        if query == HOLE:
            self.program.note("a query of text that is known only when it runs", node)
        elif query.written is not None:
            self.program.sql(query, query.written, by_line=True)
        else:
            self.program.sql(query, node)

    def _on_query(self, query: Query, call: Call) -> Value:
        """Follow a method of a query: `execute` and `then` run it, `raw` adds to it."""
        if call.name == "raw" and call.arguments:
            return Query(f"{query};\n{call.arguments[0]}")
        if call.name in {AWAIT, "execute", "run", "all"}:
            self._run_query(query, call.node)
            return None
        if call.name != "then" or self.evaluator is None:
            return query
        self._run_query(query, call.node)
        work = [argument for argument in call.arguments[:1] if isinstance(argument, Function)]
        return self.evaluator.follow(work[0], [UNKNOWN], {}) if work else None

    def _query(self, call: Call) -> Value:
        text = call.arguments[0] if call.arguments else None
        if isinstance(text, dict):
            text = next((text[key] for key in ("query", "text", "sql") if key in text), UNKNOWN)
        if isinstance(text, Function) and self.evaluator is not None:
            return self._inside(text, call, self.evaluator)
        if isinstance(text, Query):
            self._run_query(text, call.node)
        elif isinstance(text, str) and call.name in _OF_TEXT:
            self.program.sql(text, call.node)
        elif text is not None and call.path.startswith(tagged.GIVEN) and call.name in _OF_TEXT:
            self.program.note("a query of text that is known only when it runs", call.node)
        return UNKNOWN

    def _transaction(self, call: Call, evaluator: Evaluator) -> Value:
        """Follow the function that runs inside a transaction, or begin one that is kept in a name."""
        work = next((argument for argument in call.arguments if isinstance(argument, Function)), None)
        if work is None and call.name != "transaction":
            return UNKNOWN
        self.program.sql("BEGIN", call.node)
        return Unknown(_TRANSACTION) if work is None else self._inside(work, call, evaluator)

    def _inside(self, work: Function, call: Call, evaluator: Evaluator) -> Value:
        result = evaluator.follow(work, [Unknown(_TRANSACTION)], {})
        self.run(result, call.node)
        self.program.sql("COMMIT", call.node)
        return [result if not isinstance(result, Query) else None]

    def _builder(self, call: Call) -> Value:
        """Say that a table is made by a builder that is not followed; that one is dropped is plain."""
        named = call.arguments[0] if call.arguments else None
        if call.name in {"dropTable", "dropTableIfExists"} and isinstance(named, str) and HOLE not in named:
            self.program.sql(f"DROP TABLE IF EXISTS {dotted(tuple(named.split('.')))}", call.node)
            return UNKNOWN
        if call.name in _BUILDING and "()" not in call.path:
            tool = "node-pg-migrate" if self.is_pgm else "a schema builder (Knex, Kysely)"
            self.program.note(f"{call.name} of {tool}: only the SQL that it runs is read", call.node)
        return UNKNOWN

    def _operation(self, call: Call) -> None:
        try:
            for statement in OPERATIONS[call.name](call.arguments):
                self.program.sql(statement, call.node)
        except NotKnownError as error:
            self.program.note(f"{_INTERFACE}.{call.name}: {error}", call.node)

    def _file(self, path: Value) -> Value:
        return self.modules.text(PurePosixPath(path)) if isinstance(path, str) else UNKNOWN


def _way_up(module: Module) -> tuple[Function | str | None, Mapping[str, Any]]:
    """Return the function or SQL that is the migration, and what exports it beside what.

    It is exported by name, in an object, or as the method of a class.
    """
    holders = [module.names, module.names.get(EXPORTS), module.names.get(DEFAULT_EXPORT)]
    holders += [value for value in module.names.values() if isinstance(value, Class)]
    held = [dict(holder.names) if isinstance(holder, Class) else holder for holder in holders]
    for name in _WAYS_UP:
        for names in (one for one in held if isinstance(one, dict)):
            found = names.get(name)
            if isinstance(found, (Function, str)):
                settings = names.get("config")
                return found, {**names, **settings} if isinstance(settings, dict) else names
    return None, {}
