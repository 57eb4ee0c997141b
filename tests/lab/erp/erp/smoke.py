"""Does this code live on that database? Orders, processes and takes it all back.

Run it as `python -m erp.smoke`; exit code 0 means yes.
"""

from decimal import Decimal
from uuid import uuid4

from sqlalchemy.orm import Session

from erp import orders
from erp.database import connect


def main() -> None:
    with Session(connect()) as session:
        ref = uuid4()
        _, made = orders.create(session, ref, "smoke test", Decimal("9.99"))
        _, again = orders.create(session, ref, "smoke test", Decimal("9.99"))
        assert made and not again, "an order is made once"
        orders.process(session, 1)
        assert orders.latest(session, 1), "orders are listed"
        session.rollback()
    print("smoke test passed")


if __name__ == "__main__":
    main()
