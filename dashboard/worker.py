"""What has to be done beside the readers: the one folding worker. Every process brings one along; the database lets one work at a time."""
import logging
import time
from threading import Event

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from queries import db

EVERY = 1.0         # seconds between two folds; readers do not wait for one, it only keeps short what they read raw
MOST = 20_000       # complaints a fold: the more at once, the more of them share a cell


def fold(url: str, stop: Event) -> None:
    """Fold touched complaints into the cells until `stop` is set, as the login of `url`."""
    log = logging.getLogger(__name__)
    while not stop.is_set():
        began = time.monotonic()
        try:
            with db.engine(url).begin() as conn:
                folded = conn.execute(text("select rollup_fold(:most)"), {"most": MOST}).scalar_one()
        except (DBAPIError, PoolTimeout) as error:             # the server is away or restarts: tried again, nothing is lost
            log.warning("roll-ups: a fold failed (%s)", type(error).__name__)
            folded = 0
        stop.wait(min(EVERY, time.monotonic() - began) if folded >= MOST // 2 else EVERY)
