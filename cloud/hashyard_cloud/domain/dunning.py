"""From invoice to default: due, grace, notice, cure. Terms are durations, so that a demo runs in minutes."""

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from hashyard_cloud.domain.errors import AmountError
from hashyard_shared.clock import US_PER_S

_UNITS_S: Final = {"s": 1, "min": 60, "h": 3_600, "d": 86_400}
_DURATION: Final = re.compile(r"(\d{1,9})\s*(s|min|h|d)")
MAX_TERM_S: Final = 366 * 86_400


def duration_s(text: str) -> int:
    """Seconds of `30 s`, `2 min`, `12 h` or `15 d`; raises `AmountError` for anything else or above a year."""
    found = _DURATION.fullmatch(text.strip().lower())
    if found is None:
        raise AmountError(f"{text[:40]!r} is not a duration; write it as 30 s, 2 min, 12 h or 15 d")
    seconds = int(found[1]) * _UNITS_S[found[2]]
    if seconds > MAX_TERM_S:
        raise AmountError(f"{text[:40]!r} is longer than 366 d")
    return seconds


def duration_text(seconds: int) -> str:
    """`2 d 4 h`, `34 min`, `12 s`: the two largest units that are not zero."""
    parts: list[str] = []
    left = max(seconds, 0)
    for unit in ("d", "h", "min", "s"):
        count, left = divmod(left, _UNITS_S[unit])
        if count:
            parts.append(f"{count} {unit}")
    return " ".join(parts[:2]) or "0 s"


class NoticeKind(StrEnum):
    """What a customer is told by e-mail."""

    INVOICE = "invoice"
    REMINDER = "reminder"
    DEFAULT = "default"
    REDIRECTED = "redirected"
    RESTORED = "restored"
    RECEIPT = "receipt"
    JOURNAL_HEAD = "journal-head"
    TERM_NOTICE = "term-notice"
    TERM_OVER = "term-over"

    @property
    def label(self) -> str:
        """As people read it."""
        return _NOTICE_LABELS[self]


_NOTICE_LABELS: Final = {
    NoticeKind.INVOICE: "Invoice",
    NoticeKind.REMINDER: "Payment reminder",
    NoticeKind.DEFAULT: "Notice of default",
    NoticeKind.REDIRECTED: "Notice of redirect",
    NoticeKind.RESTORED: "Notice of restore",
    NoticeKind.RECEIPT: "Receipt",
    NoticeKind.JOURNAL_HEAD: "Head of the enforcement journal",
    NoticeKind.TERM_NOTICE: "Notice about a contract's term",
    NoticeKind.TERM_OVER: "What became of a contract's term",
}

REQUIRED_NOTICES: Final = (NoticeKind.REMINDER, NoticeKind.DEFAULT)
"""What must have been delivered before a redirect."""


@dataclass(frozen=True, slots=True)
class Terms:
    """A contract's terms in seconds: due after issue, grace after due, cure after the notice of default."""

    due_s: int
    grace_s: int
    cure_s: int

    def __post_init__(self) -> None:
        for name in ("due_s", "grace_s", "cure_s"):
            value = getattr(self, name)
            if not 0 <= value <= MAX_TERM_S:
                raise AmountError(f"{name} must be from 0 to {MAX_TERM_S}, not {value}")

    def due_at_us(self, issued_at_us: int) -> int:
        """When an invoice issued then is due."""
        return issued_at_us + self.due_s * US_PER_S

    def default_at_us(self, due_at_us: int) -> int:
        """When an invoice due then, and unpaid, makes a default."""
        return due_at_us + self.grace_s * US_PER_S


class Stage(StrEnum):
    """How far an unpaid invoice has come."""

    NOT_DUE = "not-due"
    GRACE = "grace"
    DEFAULT = "default"


def stage(terms: Terms, due_at_us: int, now_us: int) -> Stage:
    """The stage of an unpaid invoice."""
    if now_us < due_at_us:
        return Stage.NOT_DUE
    return Stage.GRACE if now_us < terms.default_at_us(due_at_us) else Stage.DEFAULT


@dataclass(frozen=True, slots=True)
class Delivery:
    """What is known of a notice's way to the customer. Times are UTC microseconds or None."""

    accepted_at_us: int | None
    bounced_at_us: int | None
    proof_at_us: int | None
    proof: str | None = None

    def delivered_at_us(self, bounce_wait_s: int, now_us: int) -> int | None:
        """When it counts as delivered: by proof, or by acceptance and silence, whichever was first."""
        if self.accepted_at_us is None or self.bounced_at_us is not None:
            return self.proof_at_us
        over_us = self.accepted_at_us + bounce_wait_s * US_PER_S
        if now_us < over_us:
            return self.proof_at_us
        return over_us if self.proof_at_us is None else min(over_us, self.proof_at_us)


def cure_over_at_us(terms: Terms, notice_delivered_at_us: int) -> int:
    """When the cure period ends that a delivered notice of default began."""
    return notice_delivered_at_us + terms.cure_s * US_PER_S
