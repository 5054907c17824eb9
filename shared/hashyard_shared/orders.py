"""Redirect and restore orders, as signed by the organisation's key.

An order names everything it may do and nothing it may not: no pool address travels in it, only the reference
of a holding pool that was pinned on site. An unknown field is a refusal, hence `extra="forbid"`.
"""

from enum import StrEnum
from typing import Self

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from hashyard_shared.errors import ErrorCode, SharedError
from hashyard_shared.signing import DocumentType, Envelope, sign, verify


class OrderFormError(SharedError):
    """The signed order has a field that this agent does not know, or lacks one that it needs."""

    code = ErrorCode.ORDER_UNKNOWN_FIELD


class OrderKind(StrEnum):
    """The two verbs for pools."""

    REDIRECT = "redirect"
    RESTORE = "restore"


class ReasonCode(StrEnum):
    """Why the order was given."""

    DEFAULT_UNCURED = "default-uncured"
    LEASE_RENEWED = "lease-renewed"
    DEBT_PAID = "debt-paid"
    PLAN_AGREED = "plan-agreed"
    WAIVED = "waived"
    DEBT_RECOVERED = "debt-recovered"
    LEGAL_HOLD = "legal-hold"
    DISPUTE = "dispute"
    REDIRECT_SWITCHED_OFF = "redirect-switched-off"
    CLAUSE_WITHDRAWN = "clause-withdrawn"
    OPERATOR = "operator"


class Order(BaseModel):
    """One unit's order. Times are UTC microseconds; a restore never expires.

    `sequence` is max(last + 1, Unix milliseconds) per unit: a higher one supersedes a lower one.
    `holding_pool` and its `holding_pool_hash` (see `trust.pool_hash`) name a pinned pool; restores have neither.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    order_id: str = Field(max_length=64)
    organisation_id: str = Field(max_length=64)
    site_id: str = Field(max_length=64)
    agent_id: str = Field(max_length=64)
    agent_key: str = Field(max_length=64)
    epoch: int = Field(ge=0)
    unit_id: str = Field(max_length=64)
    customer_id: str = Field(max_length=64)
    case_id: str | None = Field(max_length=64)
    mac: str = Field(max_length=17)
    kind: OrderKind
    reason: ReasonCode
    holding_pool: str | None = Field(max_length=64)
    holding_pool_hash: str | None = Field(max_length=64)
    sequence: int = Field(ge=1)
    issued_at_us: int
    not_before_us: int
    expires_at_us: int | None

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        redirect = self.kind is OrderKind.REDIRECT
        if redirect != (self.holding_pool is not None) or redirect != (self.holding_pool_hash is not None):
            raise ValueError("a redirect names a holding pool and its hash, a restore names none")
        if redirect != (self.expires_at_us is not None):
            raise ValueError("a redirect is a lease and expires, a restore never does")
        return self

    def signed(self, key: Ed25519PrivateKey) -> Envelope:
        """The order under the signature of the organisation."""
        return sign(key, DocumentType.ORDER, self.model_dump_json().encode())

    @classmethod
    def opened(cls, public: bytes, envelope: Envelope) -> "Order":
        """Verify, then read. Raises `SignatureError` or `OrderFormError`."""
        payload = verify(public, DocumentType.ORDER, envelope)
        try:
            return cls.model_validate_json(payload)
        except ValidationError as error:
            fields = ", ".join(".".join(map(str, item["loc"])) or item["msg"] for item in error.errors()[:5])
            raise OrderFormError(f"order refused at: {fields}") from error


def next_sequence(last: int, now_us: int) -> int:
    """The sequence of a unit's next order: grows even when the cloud's clock went back."""
    return max(last + 1, now_us // 1_000)
