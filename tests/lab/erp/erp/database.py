"""The connection to PostgreSQL."""

import os

from sqlalchemy import Engine, create_engine


def connect() -> Engine:
    # pool_pre_ping: a connection that a restart of the database cut is replaced, not reported.
    return create_engine(
        os.environ["DATABASE_URL"],
        pool_pre_ping=True,
        # No prepared statements: a pooler may hand the next transaction to another session.
        connect_args={"connect_timeout": 3, "prepare_threshold": None},
    )
