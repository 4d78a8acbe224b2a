"""Which table stands behind a model of a TypeScript project, and which column behind its properties.

Read from the calls that define models: Drizzle's `pgTable`, Sequelize's `define` and `init`, the
decorators of TypeORM, MikroORM and sequelize-typescript, and Prisma's schema files. What a library
makes up by itself (a plural, a snake-cased name) is made up by the library's own rule; a name that
is computed is left out.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from lint.source.typescript_modules import module_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from lint.source.sites import Argument, Call, Class, Source

_DRIZZLE_TABLES = frozenset({"pgTable", "pgView", "pgMaterializedView"})
_ENTITY_DECORATORS = re.compile(r"(?:typeorm|@mikro-orm/[\w-]+)\.Entity|sequelize-typescript\.Table")
_PRISMA_BLOCK = re.compile(r"^\s*(?:model|view)\s+(\w+)\s*\{(.*?)^\s*\}", re.MULTILINE | re.DOTALL)
_PRISMA_FIELD = re.compile(r"^\s*(\w+)\s+\w+[^\n]*?(?<!@)@map\(\s*(?:name:\s*)?\"([^\"]+)\"", re.MULTILINE)
_PRISMA_TABLE = re.compile(r"@@map\(\s*(?:name:\s*)?\"([^\"]+)\"")
_PRISMA_SCHEMA = re.compile(r"@@schema\(\s*(?:map:\s*)?\"([^\"]+)\"")
_COMMENT = re.compile(r"//[^\n]*")
_WORD_START = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


@dataclass(frozen=True, slots=True)
class Model:
    """A model: its name in the code, its table ("schema.name" or bare), columns by property."""

    name: str
    table: str
    path: str
    columns: Mapping[str, str] = field(default_factory=dict)

    @property
    def qualified(self) -> str:
        """The name with its module, as a resolved import spells it: `src.db.schema.users`."""
        return f"{module_of(self.path)}.{self.name}"


def model_tables(
    sources: Iterable[Source], prisma_schemas: Iterable[tuple[str, bytes]] = ()
) -> dict[str, str]:
    """Return the table of each model, by qualified name and, where all agree on it, by bare name."""
    models = [*models_of(sources), *(m for path, text in prisma_schemas for m in prisma_models(path, text))]
    tables = {model.qualified: model.table for model in models}
    bare: dict[str, set[str]] = {}
    for model in models:
        bare.setdefault(model.name, set()).add(model.table)
    tables.update((name, found.pop()) for name, found in bare.items() if len(found) == 1)
    return tables


def models_of(sources: Iterable[Source]) -> Iterator[Model]:
    """Yield the models that TypeScript files define."""
    for source in sources:
        schemas = _schemas(source)
        for call in source.calls:
            if call.bound_to:
                yield from _drizzle(_first(call), call.bound_to, source, schemas)
            yield from _sequelize(call, source)
            if _ENTITY_DECORATORS.fullmatch(call.callee):
                yield from _entity(call, source)


# Drizzle


def _schemas(source: Source) -> dict[str, str]:
    """Return the names of schemas by variable: `const app = pgSchema("app")`."""
    found = {}
    for call in source.calls:
        if call.name == "pgSchema" and _literal(call, 0):
            found.update(dict.fromkeys(call.bound_to, _literal(call, 0)))
    return found


def _first(call: Call) -> Call:
    """Return the call that a chain begins with: `pgTable(…)` of `pgTable(…).enableRLS()`."""
    while call.receiver is not None:
        call = call.receiver
    return call


def _drizzle(call: Call, names: Iterable[str], source: Source, schemas: Mapping[str, str]) -> Iterator[Model]:
    table = _literal(call, 0)
    holder = call.written.rpartition(".")[0]
    if call.name in _DRIZZLE_TABLES and "drizzle" in call.callee:
        schema = ""
    elif call.name in {"table", "view"} and holder in schemas:
        schema = schemas[holder]
    else:
        return
    for name in names if table else ():
        yield Model(name, _dotted(schema, table), source.path, _drizzle_columns(call))


def _drizzle_columns(table: Call) -> dict[str, str]:
    """Return columns by property: `tenantId: uuid("tenant_id")`, or the property itself."""
    if len(table.arguments) <= 1:
        return {}
    constants = dict(table.arguments[1].constants)
    return {key: constants.get(f"{key}()", key) for key in table.arguments[1].keys if "." not in key}


# Sequelize


def _sequelize(call: Call, source: Source) -> Iterator[Model]:
    if call.name == "define" and _literal(call, 0) and _has_keys(call, 1):
        yield from _defined(call, source, _literal(call, 0), (*call.bound_to, _literal(call, 0)))
    elif call.name == "init" and _has_keys(call, 1) and "sequelize" in call.arguments[1].keys:
        name = call.written.rpartition(".")[0]
        name = call.function.partition(".")[0] if name in {"this", "super"} else name
        yield from _defined(call, source, name, (name,))


def _defined(call: Call, source: Source, model: str, names: Iterable[str]) -> Iterator[Model]:
    options = dict(call.arguments[-1].constants) if len(call.arguments) > 1 else {}
    table = options.get("tableName") or _sequelize_table(model, options)
    fields = dict(call.arguments[-2].constants) if len(call.arguments) > 1 else {}
    columns = {key.removesuffix(".field"): text for key, text in fields.items() if key.endswith(".field")}
    for name in dict.fromkeys(names):
        yield Model(name, _dotted(options.get("schema", ""), table), source.path, columns)


def _sequelize_table(model: str, options: Mapping[str, str]) -> str:
    name = _snake(model) if options.get("underscored") == "true" else model
    return name if options.get("freezeTableName") == "true" else _plural(name)


# Decorated classes


def _entity(call: Call, source: Source) -> Iterator[Model]:
    owner = _decorated(call, source)
    if owner is None:
        return
    options = dict(call.arguments[0].constants) if call.arguments else {}
    table = _literal(call, 0) or options.get("name") or options.get("tableName")
    if table is None and not _is_computed(call.arguments):
        table = _plural(owner.name) if call.name == "Table" else _snake(owner.name)
    if table:
        yield Model(owner.name, _dotted(options.get("schema", ""), table), source.path)


def _decorated(call: Call, source: Source) -> Class | None:
    """Return the class that a decorator stands before, or in whose first lines it stands."""
    after = [owner for owner in source.classes.values() if owner.place.end_line >= call.place.end_line]
    return min(after, key=lambda owner: owner.place.end_line, default=None)


def _is_computed(arguments: tuple[Argument, ...]) -> bool:
    """Say whether a name was given that cannot be read: `@Entity(NAME)`, `@Entity({ name: NAME })`."""
    return any(one.kind in {"name", "member"} or {"name", "tableName"} & {*one.keys} for one in arguments)


# Prisma


def prisma_models(path: str, content: bytes) -> Iterator[Model]:
    """Yield the models of a Prisma schema; what the client calls them is lower-cased at its start."""
    text = _COMMENT.sub("", content.decode("utf-8", "replace"))
    for block in _PRISMA_BLOCK.finditer(text):
        name, body = block[1], block[2]
        table, schema = _PRISMA_TABLE.search(body), _PRISMA_SCHEMA.search(body)
        columns = {match[1]: match[2] for match in _PRISMA_FIELD.finditer(body)}
        yield Model(name, _dotted(schema[1] if schema else "", table[1] if table else name), path, columns)


# Names


def _literal(call: Call, position: int) -> str:
    if position < len(call.arguments) and call.arguments[position].kind == "literal":
        return call.arguments[position].text
    return ""


def _has_keys(call: Call, position: int) -> bool:
    return position < len(call.arguments) and bool(call.arguments[position].keys)


def _dotted(schema: str, table: str) -> str:
    return f"{schema}.{table}" if schema else table


def _snake(name: str) -> str:
    return _WORD_START.sub("_", name).lower()


def _plural(name: str) -> str:
    """Return the plural of an English noun, as far as table names need it."""
    if re.search(r"[^aeiou]y\Z", name, re.IGNORECASE):
        return f"{name[:-1]}ies"
    return f"{name}es" if re.search(r"(?:s|x|z|ch|sh)\Z", name) else f"{name}s"
