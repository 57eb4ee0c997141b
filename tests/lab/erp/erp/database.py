"""The connection to PostgreSQL."""

import os

from sqlalchemy import Engine, create_engine


def connect() -> Engine:
    # pool_pre_ping: a connection that a restart of the database cut is replaced, not reported.
    return create_engine(
        os.environ["DATABASE_URL"],
        pool_pre_ping=True,
        connect_args={"connect_timeout": 3},
    )
