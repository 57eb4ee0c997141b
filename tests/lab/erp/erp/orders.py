"""What can be done with orders: no HTTP here, so the worker and the smoke test use it too."""

from collections.abc import Sequence
from decimal import Decimal
from uuid import UUID

from sqlalchemy import func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from erp.models import Customer, Order


class Conflict(Exception):
    """The reference is taken by an order with other content."""


def create(session: Session, ref: UUID, customer: str, amount: Decimal) -> tuple[Order, bool]:
    """The order `ref`, and whether this call made it: asking twice makes one order."""
    session.execute(insert(Customer).values(name=customer).on_conflict_do_nothing())
    buyer = session.execute(select(Customer.id).where(Customer.name == customer)).scalar_one()
    made = session.execute(
        insert(Order)
        .values(ref=ref, customer_id=buyer, amount=amount)
        .on_conflict_do_nothing(index_elements=[Order.ref])
        .returning(Order.id)
    ).scalar_one_or_none()
    order = get(session, ref)
    if order is None or order.customer_id != buyer or order.amount != amount:
        raise Conflict(ref)
    return order, made is not None


def get(session: Session, ref: UUID) -> Order | None:
    return session.scalars(select(Order).where(Order.ref == ref)).one_or_none()


def latest(session: Session, limit: int, offset: int = 0) -> Sequence[Order]:
    return session.scalars(
        select(Order).order_by(Order.id.desc()).limit(limit).offset(offset)
    ).all()


def count(session: Session) -> dict[str, int]:
    rows = session.execute(select(Order.status, func.count()).group_by(Order.status))
    return {status: number for status, number in rows}


def process(session: Session, batch: int) -> int:
    """Process up to `batch` new orders; several workers may do so at once."""
    ids = select(Order.id).where(Order.status == "new").order_by(Order.id).limit(batch)
    ids = ids.with_for_update(skip_locked=True)
    return len(
        session.execute(
            update(Order)
            .where(Order.id.in_(ids.scalar_subquery()))
            .values(status="processed", processed_at=func.now())
            .returning(Order.id)
            .execution_options(synchronize_session=False)
        ).all()
    )
