"""The activity log: one line for everything that happened, in the transaction in which it happened."""

import hashlib
import json
from dataclasses import fields
from typing import Final

from hashyard_cloud.services.ports.activity import ActivityRow, Actor
from hashyard_cloud.services.ports.database import Transaction

GENESIS: Final = "0" * 64
MAX_TEXT_CHARS: Final = 2_000
_VERIFY_STEP: Final = 1_000


def line_hash(row: ActivityRow) -> str:
    """SHA-256 over all fields but the hash itself, as sorted JSON."""
    content = {field.name: getattr(row, field.name) for field in fields(row) if field.name != "hash"}
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(b"hashyard:activity:" + text.encode()).hexdigest()


async def record(
    tx: Transaction,
    now_us: int,
    organisation_id: str,
    actor: Actor,
    action: str,
    text: str,
    *,
    customer_id: str | None = None,
    object_kind: str = "",
    object_id: str = "",
) -> ActivityRow:
    """Append a line. `action` is `<feature>.<verb>`, `text` what a person reads."""
    last = await tx.activity.last(organisation_id)
    unhashed = ActivityRow(
        organisation_id=organisation_id,
        position=last.position + 1 if last else 0,
        at_us=now_us,
        actor_id=actor.user_id,
        actor_name=actor.name,
        ip=actor.ip,
        action=action,
        customer_id=customer_id,
        object_kind=object_kind,
        object_id=object_id,
        text=text[:MAX_TEXT_CHARS],
        prev_hash=last.hash if last else GENESIS,
        hash="",
    )
    row = _with_hash(unhashed)
    await tx.activity.append(row)
    return row


def _with_hash(row: ActivityRow) -> ActivityRow:
    values = {field.name: getattr(row, field.name) for field in fields(row)}
    return ActivityRow(**{**values, "hash": line_hash(row)})


async def first_break(tx: Transaction, organisation_id: str) -> int | None:
    """The position of the first line that was changed, added or taken out; None for a whole chain."""
    position, previous = 0, GENESIS
    while lines := await tx.activity.chain(organisation_id, position, _VERIFY_STEP):
        for line in lines:
            if line.position != position or line.prev_hash != previous or line.hash != line_hash(line):
                return position
            position, previous = position + 1, line.hash
    return None
