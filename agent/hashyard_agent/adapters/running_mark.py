"""The mark of the last kept cycle, in the outbox's own transactions: it never says more than what is kept."""

import json
import logging
from dataclasses import asdict, replace
from typing import Final

from hashyard_agent.adapters.store import Store
from hashyard_agent.blind_time import CycleMark

LOG: Final = logging.getLogger(__name__)
_KEY: Final = "last-cycle"


def keep(database: Store, mark: CycleMark) -> None:
    """Within the transaction that keeps the cycle."""
    sql = "INSERT OR REPLACE INTO state (key, value) VALUES (?, ?)"
    database.execute(sql, [_KEY, json.dumps(asdict(mark), separators=(",", ":"))])


def known(database: Store) -> CycleMark | None:
    """The mark, or None before the first cycle."""
    row = database.execute("SELECT value FROM state WHERE key = ?", [_KEY]).fetchone()
    if row is None:
        return None
    try:
        return CycleMark(**json.loads(row[0]))
    except (ValueError, TypeError) as error:
        LOG.warning("the mark of the last cycle cannot be read and is forgotten: %s", error)
        return None


def pass_over(database: Store, until_us: int) -> None:
    """Losses up to here are in the ledger already; they are not also time in which the agent did not run."""
    mark = known(database)
    if mark is not None and mark.at_us < until_us:
        passed_s = (until_us - mark.at_us) / 1_000_000
        shift_us = until_us - mark.at_us
        keep(
            database,
            replace(mark, at_us=until_us, wall_us=mark.wall_us + shift_us, mono_s=mark.mono_s + passed_s),
        )
