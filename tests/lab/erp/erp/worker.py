"""The background worker: new orders become processed ones."""

import logging
import signal
import threading

from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from erp import REVISION, orders
from erp.database import connect

BATCH = 20
PAUSE = 0.5

log = logging.getLogger("erp.worker")


def run(stop: threading.Event) -> None:
    engine = connect()
    log.info("started, revision %s", REVISION)
    while not stop.is_set():
        try:
            with Session(engine) as session, session.begin():
                done = orders.process(session, BATCH)
        except OperationalError as error:
            # The database is away for a moment. A schema it does not know, on the other hand,
            # is no reason to wait: that error ends the worker.
            log.warning("no database: %s", str(error.orig).strip().splitlines()[0])
            stop.wait(2 * PAUSE)
            continue
        if done:
            log.info("processed %d orders", done)
        if done < BATCH:
            stop.wait(PAUSE)
    log.info("stopped")


def main() -> None:
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    run(stop)


if __name__ == "__main__":
    main()
