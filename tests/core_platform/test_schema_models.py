"""A table that nobody classified, or whose keys forget the tenant, cannot be mapped."""

import uuid
from typing import ClassVar

import pytest
from sqlalchemy import ForeignKeyConstraint, Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from core_platform.errors import UnclassifiedTable
from core_platform.schema import SCHEMAS, Base, Global, RowSecurity, TenantOwned, declared


def test_an_unclassified_table_cannot_be_mapped():
    with pytest.raises(UnclassifiedTable, match="inherit TenantOwned"):

        class Loose(Base):
            __tablename__ = "loose"
            loose_id: Mapped[int] = mapped_column(primary_key=True)


def test_a_classification_needs_a_reason():
    with pytest.raises(UnclassifiedTable, match="not classified"):

        class Unreasoned(Base):
            __tablename__ = "unreasoned"
            __unscoped__: ClassVar = Global(" ")
            row_id: Mapped[int] = mapped_column(primary_key=True)


def test_a_table_cannot_be_tenant_data_and_global():
    with pytest.raises(UnclassifiedTable, match="choose one"):

        class Both(TenantOwned, Base):
            __tablename__ = "both"
            __unscoped__: ClassVar = Global("prices")


def test_a_tenant_column_on_a_table_that_claims_to_be_global_is_refused():
    with pytest.raises(UnclassifiedTable, match="tenant_id"):

        class Disguised(Base):
            __tablename__ = "disguised"
            __unscoped__: ClassVar = Global("prices")
            tenant_id: Mapped[uuid.UUID] = mapped_column(primary_key=True)


def test_a_unique_constraint_without_the_tenant_is_refused():
    with pytest.raises(UnclassifiedTable, match="UniqueConstraint must begin with tenant_id"):

        class GlobalEmail(TenantOwned, Base):
            __tablename__ = "global_email"
            __table_args__ = (UniqueConstraint("email"), {"schema": "identity"})
            row_id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
            email: Mapped[str]


def test_a_unique_index_without_the_tenant_is_refused():
    with pytest.raises(UnclassifiedTable, match="unique index"):

        class GlobalIndex(TenantOwned, Base):
            __tablename__ = "global_index"
            __table_args__ = (Index("ux", "email", unique=True), {"schema": "identity"})
            row_id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
            email: Mapped[str]


def test_a_foreign_key_without_the_tenant_is_refused():
    with pytest.raises(UnclassifiedTable, match="ForeignKeyConstraint must begin with tenant_id"):

        class CrossReference(TenantOwned, Base):
            __tablename__ = "cross_reference"
            __table_args__ = (
                ForeignKeyConstraint(["agent_id"], ["identity.agent.agent_id"]),
                {"schema": "identity"},
            )
            agent_id: Mapped[uuid.UUID] = mapped_column(primary_key=True)


def test_a_foreign_key_that_would_null_the_tenant_is_refused():
    with pytest.raises(UnclassifiedTable, match="SET NULL"):

        class Nulling(TenantOwned, Base):
            __tablename__ = "nulling"
            __table_args__ = (
                ForeignKeyConstraint(
                    ["tenant_id", "agent_id"],
                    ["identity.agent.tenant_id", "identity.agent.agent_id"],
                    ondelete="SET NULL",
                ),
                {"schema": "identity"},
            )
            agent_id: Mapped[uuid.UUID] = mapped_column(primary_key=True)


def test_the_tenant_leads_every_primary_key():
    tenant_tables = [name for name, kind in declared().items() if isinstance(kind, RowSecurity)]
    assert len(tenant_tables) == 24  # none of the models refused above is among them
    for name in tenant_tables:
        table = Base.metadata.tables[name]
        assert next(iter(table.primary_key)).name == "tenant_id"
        assert table.schema in SCHEMAS
