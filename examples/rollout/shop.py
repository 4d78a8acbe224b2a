"""The shop's tables as models, and its readers as they are after wrapping: each takes a session."""

from __future__ import annotations

import uuid

from sqlalchemy import BigInteger, CheckConstraint, UniqueConstraint, func, select
from sqlalchemy.orm import Mapped, mapped_column

from core_platform.schema.base import Base, TenantOwned, within_tenant
from core_platform.tenancy import TenantSession


class Customer(TenantOwned, Base):
    """Somebody who buys."""

    __tablename__ = "customer"
    __table_args__ = (UniqueConstraint("tenant_id", "email"), {"schema": "shop"})

    customer_id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=uuid.uuid4)
    email: Mapped[str]


class Invoice(TenantOwned, Base):
    """What somebody owes, in cents."""

    __tablename__ = "invoice"
    __table_args__ = (
        within_tenant("customer_id", "shop.customer.customer_id"),
        CheckConstraint("cents >= 0", name="cents"),
        {"schema": "shop"},
    )

    number: Mapped[str] = mapped_column(primary_key=True)
    customer_id: Mapped[uuid.UUID]
    cents: Mapped[int] = mapped_column(BigInteger)


def customers(session: TenantSession) -> list[str]:
    """The tenant's customers by e-mail."""
    return list(session.scalars(select(Customer.email).order_by(Customer.email)))


def turnover(session: TenantSession) -> list[tuple[str, int]]:
    """Each customer with the sum of their invoices."""
    owed = select(Customer.email, func.sum(Invoice.cents)).join(
        Invoice, Invoice.customer_id == Customer.customer_id
    )
    rows = session.execute(owed.group_by(Customer.email).order_by(Customer.email))
    return [(email, int(cents)) for email, cents in rows]
