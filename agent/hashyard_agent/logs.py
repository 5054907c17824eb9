"""Log lines for people: time, level, part, what happened and what to do. To standard error, for the journal."""

import logging
import sys
from typing import Final

from hashyard_shared.clock import Clock, iso

_PACKAGE: Final = "hashyard_agent."


class _Lines(logging.Formatter):
    """One line for each record, with its trace below it if it has one."""

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self._clock = clock

    def format(self, record: logging.LogRecord) -> str:
        part = record.name.removeprefix(_PACKAGE)
        line = f"{iso(self._clock.now_us())} {record.levelname.lower():<7} {part}: {record.getMessage()}"
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


def set_up_logging(clock: Clock) -> None:
    """Send the agent's log to standard error; libraries speak up only when something is wrong."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Lines(clock))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("hashyard_agent").setLevel(logging.INFO)
