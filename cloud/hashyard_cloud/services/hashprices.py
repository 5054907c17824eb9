"""The hashprice series: configured or imported, always with its source."""

import csv
import io
import re
from typing import Final

from hashyard_cloud.domain.money import Money
from hashyard_cloud.errors import CloudError, MalformedError, TooLargeError
from hashyard_cloud.services import activity
from hashyard_cloud.services.ports.activity import Actor
from hashyard_cloud.services.ports.database import Transaction
from hashyard_cloud.services.ports.hashprices import HashpriceRow
from hashyard_shared.clock import utc

MAX_CSV_BYTES: Final = 2 * 1024 * 1024
MAX_DAYS: Final = 20_000
MAX_SOURCE_CHARS: Final = 200
_DAY: Final = re.compile(r"\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])")


async def put(
    tx: Transaction,
    now_us: int,
    organisation_id: str,
    actor: Actor,
    price: Money,
    day: str = "",
    source: str = "configured",
) -> HashpriceRow:
    """Set a day's price per TH/s; it holds until a later day has one."""
    row = _row(now_us, organisation_id, price, day or utc(now_us).strftime("%Y-%m-%d"), source)
    await tx.hashprices.put(row)
    text = f"Hashprice of {row.day} set: {price.micro} millionths {price.currency} per TH/s and day ({row.source})"
    await activity.record(tx, now_us, organisation_id, actor, "hashprice.set", text)
    return row


async def import_csv(
    tx: Transaction, now_us: int, organisation_id: str, actor: Actor, body: bytes, currency: str, source: str
) -> int:
    """Read `day,price` rows; all or, with the first bad line named, none. How many days."""
    if len(body) > MAX_CSV_BYTES:
        raise TooLargeError(f"The file is larger than {MAX_CSV_BYTES // 1024 // 1024} MB.")
    try:
        reader = csv.DictReader(io.StringIO(body.decode("utf-8-sig")))
        lines = [(reader.line_num, line) for line in reader]
    except (UnicodeDecodeError, csv.Error) as error:
        raise MalformedError(f"The file is not a CSV in UTF-8: {error}", field="file") from error
    if not lines or not {"day", "price"} <= set(lines[0][1]):
        raise MalformedError("The first line must name the columns day and price.", field="file")
    if len(lines) > MAX_DAYS:
        raise TooLargeError(f"The file has more than {MAX_DAYS} days.")
    for number, line in lines:
        try:
            price = Money.parse(line["price"] or "", currency)
            row = _row(now_us, organisation_id, price, (line["day"] or "").strip(), source)
        except CloudError as error:
            raise MalformedError(f"Line {number}: {error}", field="file") from error
        await tx.hashprices.put(row)
    text = f"Hashprices imported: {len(lines)} days in {currency} from {source}"
    await activity.record(tx, now_us, organisation_id, actor, "hashprice.imported", text)
    return len(lines)


def _row(now_us: int, organisation_id: str, price: Money, day: str, source: str) -> HashpriceRow:
    if not _DAY.fullmatch(day):
        raise MalformedError(f"{day[:40]!r} is not a day; write it as 2026-03-18.", field="day")
    if price.micro < 0:
        raise MalformedError("A hashprice is zero or more.", field="price")
    return HashpriceRow(
        organisation_id=organisation_id,
        currency=price.currency,
        day=day,
        price_micro=price.micro,
        source=source.strip()[:MAX_SOURCE_CHARS] or "configured",
        recorded_us=now_us,
    )
