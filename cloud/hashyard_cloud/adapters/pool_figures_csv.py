"""A pool's own figures from a CSV file that the host downloaded there."""

import csv
import hashlib
import io
import math
import re
from collections.abc import Sequence
from typing import Final

from hashyard_cloud.errors import MalformedError, TooLargeError
from hashyard_cloud.services.ports.pool_figures import PoolFigure

MAX_CSV_BYTES: Final = 32 * 1024 * 1024
MAX_ROWS: Final = 500_000
MAX_WORKER_CHARS: Final = 256
MAX_HASHRATE_THS: Final = 1e7
_NEEDED: Final = frozenset({"day", "worker", "hashrate_ths"})
_DAY: Final = re.compile(r"\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])")


class CsvPoolFigures:
    """Implements `services.ports.pool_figures.PoolFiguresSource`."""

    def __init__(self, name: str, body: bytes) -> None:
        self.name = name
        self.sha256 = hashlib.sha256(body).hexdigest()
        self._body = body

    def read(self) -> Sequence[PoolFigure]:
        if len(self._body) > MAX_CSV_BYTES:
            raise TooLargeError(f"The file is larger than {MAX_CSV_BYTES // 1024 // 1024} MB.")
        try:
            reader = csv.DictReader(io.StringIO(self._body.decode("utf-8-sig")))
            lines = [(reader.line_num, line) for line in reader]
        except (UnicodeDecodeError, csv.Error) as error:
            raise MalformedError(f"The file is not a CSV in UTF-8: {error}", field="file") from error
        if not lines or not set(lines[0][1]) >= _NEEDED:
            raise MalformedError("The first line must name the columns day, worker, hashrate_ths.", field="file")
        if len(lines) > MAX_ROWS:
            raise TooLargeError(f"The file has more than {MAX_ROWS} rows.")
        return [_figure(number, line) for number, line in lines]


def _figure(number: int, line: dict[str, str | None]) -> PoolFigure:
    day, worker = (line["day"] or "").strip(), (line["worker"] or "").strip()
    if not _DAY.fullmatch(day) or not 1 <= len(worker) <= MAX_WORKER_CHARS:
        raise MalformedError(f"Line {number}: give a day as 2026-03-18 and a worker.", field="file")
    try:
        hashrate_ths = float(line["hashrate_ths"] or "")
        shares = int(line["shares"] or "") if line.get("shares") else None
    except ValueError as error:
        raise MalformedError(f"Line {number}: hashrate_ths or shares is not a number.", field="file") from error
    if not math.isfinite(hashrate_ths) or not 0 <= hashrate_ths <= MAX_HASHRATE_THS:
        raise MalformedError(f"Line {number}: hashrate_ths is out of range.", field="file")
    return PoolFigure(worker, day, hashrate_ths, shares)
