"""Runs the migrations; where the database is, the environment says."""

import os
from logging.config import fileConfig

from alembic import context
from sqlalchemy import NullPool, create_engine

from erp.models import Base

if context.config.config_file_name:
    fileConfig(context.config.config_file_name, disable_existing_loggers=False)


def run() -> None:
    engine = create_engine(os.environ["DATABASE_URL"], poolclass=NullPool)
    with engine.connect() as connection:
        context.configure(connection=connection, target_metadata=Base.metadata)
        with context.begin_transaction():
            context.run_migrations()


if context.is_offline_mode():
    raise SystemExit("migrations need a database: offline mode is not supported")
run()
