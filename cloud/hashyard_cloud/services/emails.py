"""The e-mail outbox: what is said is committed with what it says, and sent afterwards."""

from dataclasses import replace
from typing import Final

from hashyard_cloud.errors import CloudError
from hashyard_cloud.services.ports.database import Database, Transaction
from hashyard_cloud.services.ports.emails import EmailRow, EmailState, MailTransport
from hashyard_shared.clock import US_PER_S, Clock
from hashyard_shared.errors import ErrorCode
from hashyard_shared.ids import new_id

MAX_BATCH: Final = 50
MAX_ATTEMPTS: Final = 12
MAX_SUBJECT_CHARS: Final = 200
MAX_BODY_CHARS: Final = 100_000
CLAIM_S: Final = 120
"""How long a mail that is being sent is left alone by other processes."""
FIRST_RETRY_S: Final = 5
LAST_RETRY_S: Final = 3_600


class MailRefusedError(CloudError):
    """The mail server refused the mail for good."""

    code = ErrorCode.MALFORMED
    status = 502


class MailUnreachableError(CloudError):
    """The mail server cannot be reached, or said to try later."""

    code = ErrorCode.UNAVAILABLE
    status = 503


async def enqueue(
    tx: Transaction, now_us: int, organisation_id: str, to_address: str, subject: str, body: str
) -> EmailRow:
    """Put a mail into the outbox of this transaction."""
    email_id = new_id(now_us)
    row = EmailRow(
        email_id=email_id,
        organisation_id=organisation_id,
        to_address=to_address,
        subject=" ".join(subject.split())[:MAX_SUBJECT_CHARS],
        body=body[:MAX_BODY_CHARS],
        message_id=f"<{email_id}@hashyard>",
        state=EmailState.QUEUED,
        attempts=0,
        due_us=now_us,
        created_us=now_us,
        accepted_us=None,
        reply="",
    )
    await tx.emails.add(row)
    return row


class Postman:
    """Sends what is due. Without a transport mails land in the host's mailbox page and count as not delivered."""

    def __init__(self, database: Database, clock: Clock, transport: MailTransport | None) -> None:
        self._database = database
        self._clock = clock
        self._transport = transport

    async def run(self) -> int:
        """One round; how many mails were handed over or put aside."""
        claimed = await self._claim()
        for row in claimed:
            await self._send(row)
        return len(claimed)

    async def _claim(self) -> list[EmailRow]:
        now_us = self._clock.now_us()
        async with self._database.reading() as tx:
            if not await tx.emails.due(now_us, 1):
                return []
        async with self._database.transaction() as tx:
            rows = await tx.emails.due(now_us, MAX_BATCH)
            for row in rows:
                await tx.emails.update(replace(row, due_us=now_us + CLAIM_S * US_PER_S, attempts=row.attempts + 1))
        return [replace(row, attempts=row.attempts + 1) for row in rows]

    async def _send(self, row: EmailRow) -> None:
        if self._transport is None:
            await self._record(replace(row, state=EmailState.MAILBOX, reply="no mail server is configured"))
            return
        try:
            reply = await self._transport.send(row)
        except MailUnreachableError as error:
            await self._record(self._retry(row, str(error)))
        except MailRefusedError as error:
            await self._record(replace(row, state=EmailState.FAILED, reply=str(error)))
        else:
            now_us = self._clock.now_us()
            await self._record(replace(row, state=EmailState.ACCEPTED, accepted_us=now_us, reply=reply))

    def _retry(self, row: EmailRow, reply: str) -> EmailRow:
        if row.attempts >= MAX_ATTEMPTS:
            return replace(row, state=EmailState.FAILED, reply=reply)
        wait_s = min(FIRST_RETRY_S * 2 ** (row.attempts - 1), LAST_RETRY_S)
        return replace(row, due_us=self._clock.now_us() + wait_s * US_PER_S, reply=reply)

    async def _record(self, row: EmailRow) -> None:
        async with self._database.transaction() as tx:
            await tx.emails.update(row)
            notice = await tx.notices.by_email(row.organisation_id, row.email_id)
            if notice is not None:
                await tx.notices.update(replace(notice, accepted_us=row.accepted_us, reply=row.reply))
