"""When an order was processed."""

import sqlalchemy as sa
from alembic import op

revision = "0002_processed"
down_revision = "0001_orders"


def upgrade() -> None:
    op.add_column("orders", sa.Column("processed_at", sa.DateTime(timezone=True)))
    op.create_index("orders_new", "orders", ["id"], postgresql_where=sa.text("status = 'new'"))


def downgrade() -> None:
    op.drop_index("orders_new", "orders")
    op.drop_column("orders", "processed_at")
