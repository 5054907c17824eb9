"""The e-mail outbox: a row in the transaction that has something to say, sent afterwards."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol


class EmailState(StrEnum):
    """Queued until a server accepted or refused it; `mailbox` where no server is configured."""

    QUEUED = "queued"
    ACCEPTED = "accepted"
    FAILED = "failed"
    MAILBOX = "mailbox"


@dataclass(frozen=True, slots=True, kw_only=True)
class EmailRow:
    """One mail. `due_us` is when it is tried next; `message_id` is what a bounce would name."""

    email_id: str
    organisation_id: str
    to_address: str
    subject: str
    body: str
    message_id: str
    state: EmailState
    attempts: int
    due_us: int
    created_us: int
    accepted_us: int | None
    reply: str


class EmailsStore(Protocol):
    """Read and write the outbox."""

    async def add(self, row: EmailRow) -> None: ...

    async def get(self, organisation_id: str, email_id: str) -> EmailRow | None: ...

    async def due(self, now_us: int, limit: int) -> list[EmailRow]:
        """Queued mails of all organisations that are due, oldest first."""
        ...

    async def all(self, organisation_id: str, limit: int) -> list[EmailRow]:
        """Newest first: the mailbox page."""
        ...

    async def update(self, row: EmailRow) -> None: ...


class MailTransport(Protocol):
    """A mail server."""

    async def send(self, row: EmailRow) -> str:
        """Hand the mail over; the server's reply. Raises `MailRefusedError` or `MailUnreachableError`."""
        ...
