"""Notices to customers: sent through the outbox, with delivery by acceptance and silence, or by proof."""

import hashlib
from dataclasses import dataclass, replace
from typing import Final

from hashyard_cloud.domain.dunning import NoticeKind
from hashyard_cloud.errors import ConflictError, MalformedError, NotFoundError, TooLargeError
from hashyard_cloud.services import activity
from hashyard_cloud.services.emails import enqueue
from hashyard_cloud.services.ports.activity import SYSTEM, Actor
from hashyard_cloud.services.ports.customers import CustomerRow
from hashyard_cloud.services.ports.database import Transaction
from hashyard_cloud.services.ports.notices import NoticeRow
from hashyard_shared.ids import new_id

MAX_PROOF_BYTES: Final = 5 * 1024 * 1024
MAX_NAME_CHARS: Final = 200


@dataclass(frozen=True, slots=True)
class About:
    """What a notice is about."""

    contract_id: str | None = None
    invoice_id: str | None = None
    case_id: str | None = None


async def send(
    tx: Transaction, now_us: int, customer: CustomerRow, kind: NoticeKind, about: About, subject: str, body: str
) -> NoticeRow:
    """Put a notice to the customer's billing address into this transaction's outbox."""
    email = await enqueue(tx, now_us, customer.organisation_id, customer.invoice_email, subject, body)
    row = NoticeRow(
        notice_id=new_id(now_us),
        organisation_id=customer.organisation_id,
        customer_id=customer.customer_id,
        contract_id=about.contract_id,
        invoice_id=about.invoice_id,
        case_id=about.case_id,
        kind=kind,
        to_address=email.to_address,
        subject=email.subject,
        body=email.body,
        email_id=email.email_id,
        created_us=now_us,
        accepted_us=None,
        reply="",
        bounced_us=None,
        bounce="",
        proof_us=None,
        proof_name="",
        proof_sha256="",
        proof_by="",
    )
    await tx.notices.add(row)
    await activity.record(
        tx,
        now_us,
        row.organisation_id,
        SYSTEM,
        "notice.sent",
        f"{kind.label} to {row.to_address}: {row.subject}",
        customer_id=row.customer_id,
        object_kind="notice",
        object_id=row.notice_id,
    )
    return row


async def record_bounce(
    tx: Transaction, now_us: int, organisation_id: str, actor: Actor, notice_id: str, text: str
) -> NoticeRow:
    """A notice came back: it does not count as delivered any more, unless a proof is uploaded."""
    row = await _get(tx, organisation_id, notice_id)
    changed = replace(row, bounced_us=now_us, bounce=text[:MAX_NAME_CHARS])
    await tx.notices.update(changed)
    await _record(tx, now_us, actor, changed, "notice.bounced", f"{row.kind.label} bounced: {text}")
    return changed


async def upload_proof(
    tx: Transaction, now_us: int, organisation_id: str, actor: Actor, notice_id: str, name: str, body: bytes
) -> NoticeRow:
    """Keep a proof of delivery (a courier's receipt, a signed letter). It can be uploaded once."""
    row = await _get(tx, organisation_id, notice_id)
    if row.proof_us is not None:
        raise ConflictError("This notice has a proof already; it is evidence and is not replaced.")
    if not body:
        raise MalformedError("The file is empty.", field="proof")
    if len(body) > MAX_PROOF_BYTES:
        raise TooLargeError(f"The file is larger than {MAX_PROOF_BYTES // 1024 // 1024} MB.")
    digest = hashlib.sha256(body).hexdigest()
    changed = replace(
        row, proof_us=now_us, proof_name=name[:MAX_NAME_CHARS], proof_sha256=digest, proof_by=actor.name
    )
    await tx.notices.add_proof(organisation_id, notice_id, body)
    await tx.notices.update(changed)
    text = f"Proof of delivery for {row.kind.label}: {changed.proof_name}, SHA-256 {digest}"
    await _record(tx, now_us, actor, changed, "notice.proven", text)
    return changed


async def _get(tx: Transaction, organisation_id: str, notice_id: str) -> NoticeRow:
    row = await tx.notices.get(organisation_id, notice_id)
    if row is None:
        raise NotFoundError
    return row


async def _record(tx: Transaction, now_us: int, actor: Actor, row: NoticeRow, action: str, text: str) -> None:
    await activity.record(
        tx,
        now_us,
        row.organisation_id,
        actor,
        action,
        text,
        customer_id=row.customer_id,
        object_kind="notice",
        object_id=row.notice_id,
    )
