"""Which table stands behind a model: Drizzle, Sequelize, TypeORM, MikroORM and Prisma."""

from __future__ import annotations

from pathlib import Path

import pytest

from lint.files import gather
from lint.source.orm_typescript import Model, model_tables, models_of, prisma_models
from lint.source.typescript import read_typescript

DRIZZLE = """
import { pgTable, pgSchema, uuid, text } from 'drizzle-orm/pg-core';
const app = pgSchema('app');
export const invoices = pgTable('invoice', {
  id: uuid('id').primaryKey(),
  tenantId: uuid('tenant_id').notNull().references(() => tenants.id),
  note: text(),
}, (t) => [index('x').on(t.tenantId)]).enableRLS();
export const members = app.table('member', { orgId: uuid('org_id') });
"""
SEQUELIZE = """
import { Model, DataTypes } from 'sequelize';
export class Invoice extends Model {}
Invoice.init(
  { tenantId: { type: DataTypes.UUID, field: 'tenant_id' } },
  { sequelize, tableName: 'invoice', schema: 'billing' },
);
export class Category extends Model {}
Category.init({}, { sequelize, underscored: true });
const Person = sequelize.define('person', { name: DataTypes.STRING }, { freezeTableName: true });
"""
DECORATED = """
import { Entity, Column } from 'typeorm';
@Entity({ name: 'members', schema: 'app' })
export class Member { @Column() name: string; }
@Entity('orders')
export class Order {}
@Entity()
export class LineItem {}
@Entity(NAME)
export class Hidden {}
"""
PRISMA = b"""
model AppConnection {
  id       String @id
  tenantId String @map("tenant_id") // @map("wrong")
  @@map("app_connection")
  @@schema("app")
}
model User {
  id String @id @map(name: "user_id")
}
"""


def models(text: str, path: str = "src/db/schema.ts") -> list[Model]:
    return list(models_of([read_typescript(text.encode(), path)]))


def tables(text: str) -> dict[str, str]:
    return {model.name: model.table for model in models(text)}


def test_drizzle_tables_have_their_schema_and_columns() -> None:
    invoices, members = models(DRIZZLE)
    assert (invoices.name, invoices.table) == ("invoices", "invoice")
    assert invoices.columns == {"id": "id", "tenantId": "tenant_id", "note": "note"}
    assert (members.table, members.columns) == ("app.member", {"orgId": "org_id"})


def test_sequelize_models_have_a_given_table_or_the_one_sequelize_makes_up() -> None:
    assert tables(SEQUELIZE) == {
        "Invoice": "billing.invoice",
        "Category": "categories",
        "Person": "person",
        "person": "person",
    }
    assert models(SEQUELIZE)[0].columns == {"tenantId": "tenant_id"}


def test_decorated_classes_have_a_given_table_or_their_name_and_a_computed_one_is_left_out() -> None:
    assert tables(DECORATED) == {"Member": "app.members", "Order": "orders", "LineItem": "line_item"}


def test_prisma_models_are_read_with_their_maps_and_comments_are_not() -> None:
    connection, user = prisma_models("prisma/schema.prisma", PRISMA)
    assert (connection.name, connection.table) == ("AppConnection", "app.app_connection")
    assert connection.columns == {"tenantId": "tenant_id"}
    assert (user.table, user.columns) == ("User", {"id": "user_id"})


@pytest.mark.parametrize(
    "text", ["pgTable('x', {});", "other.table('x', {});", "app.define('x');", "a.init(b);"]
)
def test_calls_of_the_same_name_are_no_models(text: str) -> None:
    assert models(text) == []


def test_tables_are_found_by_the_resolved_name_and_by_a_bare_one_that_is_not_ambiguous() -> None:
    line = "import { pgTable } from 'drizzle-orm/pg-core'; export const a = pgTable('TABLE', {});"
    sources = [
        read_typescript(DRIZZLE.encode(), "src/db/schema.ts"),
        read_typescript(line.replace("TABLE", "a_table").encode(), "src/a.ts"),
        read_typescript(line.replace("TABLE", "another").encode(), "src/b/index.ts"),
    ]
    found = model_tables(sources, [("schema.prisma", PRISMA)])
    assert found["src.db.schema.invoices"] == found["invoices"] == "invoice"
    assert (found["src.a.a"], found["src.b.a"]) == ("a_table", "another")
    assert "a" not in found
    assert found["AppConnection"] == "app.app_connection"


def test_a_prisma_schema_is_gathered_as_such(tmp_path: Path) -> None:
    (tmp_path / "schema.prisma").write_bytes(PRISMA)
    corpus = gather([tmp_path], tmp_path, ())
    assert [file.path for file in corpus.schemas] == ["schema.prisma"]
    assert corpus.sources == []


def test_a_resolved_import_names_its_table() -> None:
    schema = read_typescript(DRIZZLE.encode(), "src/db/schema.ts")
    user = read_typescript(
        b"import { members } from '../db/schema'; db.select().from(members);", "src/api/a.ts"
    )
    assert model_tables([schema])[user.imports["members"]] == "app.member"
