"""The web application."""

import os
from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from typing import Annotated
from uuid import UUID

from fastapi import Depends, FastAPI, HTTPException, Query, Response
from fastapi.responses import JSONResponse, PlainTextResponse
from pydantic import BaseModel, Field
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from erp import REVISION, VERSION, models, orders
from erp.database import connect

app = FastAPI(title="ERP", version=VERSION)
engine = connect()


def session() -> Iterator[Session]:
    with Session(engine) as opened:
        yield opened


Database = Annotated[Session, Depends(session)]


class NewOrder(BaseModel):
    ref: UUID
    customer: str = Field(min_length=1, max_length=200)
    amount: Decimal = Field(gt=0, max_digits=12, decimal_places=2)


class Order(NewOrder):
    status: str
    created_at: datetime


def shown(order: models.Order) -> Order:
    return Order(
        ref=order.ref,
        customer=order.customer.name,
        amount=order.amount,
        status=order.status,
        created_at=order.created_at,
    )


@app.get("/", response_class=PlainTextResponse)
def index() -> str:
    return f"ERP {VERSION} ({REVISION})\n"


@app.get("/health")
def health(database: Database) -> JSONResponse:
    """Well is who can read the orders, not who merely listens."""
    answer = {"status": "ok", "revision": REVISION, "schema": None, "pid": os.getpid()}
    try:
        answer["schema"] = database.scalar(text("SELECT version_num FROM alembic_version"))
        orders.latest(database, 1)
    except SQLAlchemyError as error:
        return JSONResponse(answer | {"status": "error", "error": type(error).__name__}, 503)
    return JSONResponse(answer)


@app.post("/orders", status_code=201)
def create(new: NewOrder, database: Database, response: Response) -> Order:
    """201 if this made the order, 200 if it was there; either only after the commit."""
    try:
        order, made = orders.create(database, new.ref, new.customer, new.amount)
    except orders.Conflict:
        raise HTTPException(409, "this reference belongs to another order") from None
    answer = shown(order)
    database.commit()
    response.status_code = 201 if made else 200
    return answer


@app.get("/orders")
def latest(
    database: Database,
    limit: Annotated[int, Query(ge=1, le=1000)] = 50,
    offset: Annotated[int, Query(ge=0)] = 0,
) -> list[Order]:
    return [shown(order) for order in orders.latest(database, limit, offset)]


@app.get("/orders/count")
def count(database: Database) -> dict[str, int]:
    return orders.count(database)


@app.get("/orders/{ref}")
def get(ref: UUID, database: Database) -> Order:
    order = orders.get(database, ref)
    if order is None:
        raise HTTPException(404, "no such order")
    return shown(order)
