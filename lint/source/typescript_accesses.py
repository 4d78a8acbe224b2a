"""Tables touched through the query builders of TypeScript: Prisma, Drizzle, Kysely, Sequelize, Knex.

They are told apart by their calls alone. Prisma's client names models, which the schema maps to
tables; where no schema was read, `appConnection` stands for a table spelled alike.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from lint.source.access import Access, root_of, shown
from lint.source.holders import around
from lint.source.service_role import names_table

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from lint.source.access import Models
    from lint.source.sites import Call, Source
    from lint.source.sql_tables import AccessCommand

_PRISMA: dict[str, AccessCommand] = {
    **dict.fromkeys(("findMany", "findFirst", "findUnique", "count", "aggregate", "groupBy"), "select"),
    **dict.fromkeys(("findFirstOrThrow", "findUniqueOrThrow"), "select"),
    **dict.fromkeys(("create", "createMany", "createManyAndReturn", "upsert"), "insert"),
    **dict.fromkeys(("update", "updateMany", "updateManyAndReturn"), "update"),
    **dict.fromkeys(("delete", "deleteMany"), "delete"),
}
_KYSELY: dict[str, AccessCommand] = {
    "selectFrom": "select",
    "insertInto": "insert",
    "replaceInto": "insert",
    "updateTable": "update",
    "deleteFrom": "delete",
    "mergeInto": "update",
}
_KYSELY_JOINS = frozenset({"innerJoin", "leftJoin", "rightJoin", "fullJoin", "crossJoin", "innerJoinLateral"})
_DRIZZLE: dict[str, AccessCommand] = {
    "from": "select",
    "insert": "insert",
    "update": "update",
    "delete": "delete",
    **dict.fromkeys(_KYSELY_JOINS, "select"),
}
_SEQUELIZE: dict[str, AccessCommand] = {
    **dict.fromkeys(("findAll", "findOne", "findByPk", "findAndCountAll", "count", "sum"), "select"),
    **dict.fromkeys(("create", "bulkCreate", "findOrCreate", "upsert"), "insert"),
    **dict.fromkeys(("update", "increment", "decrement", "restore"), "update"),
    **dict.fromkeys(("destroy", "truncate"), "delete"),
}
_TYPEORM: dict[str, AccessCommand] = {
    **dict.fromkeys(("find", "findBy", "findOne", "findOneBy", "findOneOrFail", "findOneByOrFail"), "select"),
    **dict.fromkeys(("findAndCount", "findAndCountBy", "count", "countBy", "exists", "existsBy"), "select"),
    **dict.fromkeys(("createQueryBuilder", "sum", "average", "minimum", "maximum", "query"), "select"),
    **dict.fromkeys(("save", "insert", "upsert"), "insert"),
    **dict.fromkeys(("update", "increment", "decrement", "restore", "softDelete"), "update"),
    **dict.fromkeys(("delete", "remove", "softRemove", "clear"), "delete"),
}
_REPOSITORY = re.compile(r"\b(?:Tree)?Repository<\s*(\w+)")
_MANAGER = re.compile(r"(?:^|\.)(?:\w*[mM]anager|dataSource)\Z")
_LEAST_PARTS = 2
_OF_CLIENT = 3


def typescript_accesses(source: Source, models: Models) -> Iterator[Access]:
    """Yield the accesses of a TypeScript or JavaScript file through query builders."""
    for call in source.calls:
        if call.name in _KYSELY or call.name in _KYSELY_JOINS:
            yield from _by_name(call)
        if names_table(call):
            yield _access(call.arguments[0].text, "select", call)
        elif call.name in _DRIZZLE:
            yield from _by_variable(call, models)
        if call.name in _PRISMA or call.name in _SEQUELIZE:
            yield from _by_model(call, models)
        if call.name in _TYPEORM:
            yield from _by_repository(call, source, models)


def _by_name(call: Call) -> Iterator[Access]:
    """Read `selectFrom('app.invoice as i')`: the table is a literal."""
    first = next(iter(call.arguments), None)
    if first is None or first.kind != "literal" or not first.text:
        return
    table = first.text.strip("'\"`").split(" as ")[0].strip()
    if table and " " not in table:
        yield _access(table, _KYSELY.get(call.name, "select"), call)


def _by_variable(call: Call, models: Models) -> Iterator[Access]:
    """Read `db.select().from(invoice)`: the table is a variable of the schema."""
    first = next(iter(call.arguments), None)
    if first is None or first.kind not in {"name", "other", "member"}:
        return
    table = models.typescript.get(first.text.rpartition(".")[2])
    if table is not None:
        yield _access(table, _DRIZZLE[call.name], call)


def _by_model(call: Call, models: Models) -> Iterator[Access]:
    """Read `prisma.invoice.findMany()`, `db.query.invoice.findMany()` and `Invoice.findAll()`."""
    parts = _whole(call).split(".")
    if len(parts) < _LEAST_PARTS:
        return
    model = parts[-2]
    table = _table_of(model, models.typescript)
    if table is None:
        return
    if len(parts) >= _OF_CLIENT and call.name in _PRISMA:
        yield _access(table, _PRISMA[call.name], call)
    elif len(parts) == _LEAST_PARTS and model[:1].isupper() and call.name in _SEQUELIZE:
        yield _access(table, _SEQUELIZE[call.name], call)


def _by_repository(call: Call, source: Source, models: Models) -> Iterator[Access]:
    """Read TypeORM's `this.invoices.find()`, `x.getRepository(Invoice).find()`, `manager.find(Invoice)`."""
    model = ""
    if call.receiver is not None:
        made = call.receiver
        model = made.arguments[0].text if made.name == "getRepository" and made.arguments else ""
    elif _MANAGER.search(call.written.rpartition(".")[0]) and call.arguments:
        model = call.arguments[0].text
    else:
        found = _REPOSITORY.search(type_around(call.written.rpartition(".")[0], call.function, source))
        model = found[1] if found is not None else ""
    table = models.typescript.get(model)
    if table is not None:
        yield _access(table, _TYPEORM[call.name], call)


def type_around(name: str, function: str, source: Source) -> str:
    """Return the type written for a name: of an attribute in the class around, or in the function itself."""
    owner, _, attribute = name.partition(".")
    for scope in around(function):
        known = source.functions.get(scope)
        if known is not None and name in known.types:
            return known.types[name]
        klass = source.classes.get(scope.rpartition(".")[0])
        if owner == "this" and klass is not None and attribute in klass.attributes:
            return klass.attributes[attribute]
    return ""


def _whole(call: Call) -> str:
    return call.written or call.callee


def _table_of(model: str, tables: Mapping[str, str]) -> str | None:
    if model in tables:
        return tables[model]
    return tables.get(model[:1].upper() + model[1:])


def _access(table: str, command: AccessCommand, call: Call) -> Access:
    return Access(table, command, call.place, call.function, "orm", shown(_whole(call)), root_of(call))
