"""Default cases, and what freezes or allows them: disputes, legal holds, approvals."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from hashyard_cloud.domain.default import CaseState


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseRow:
    """A default case of one contract. `redirect_percent` is the agreed share of its hashrate."""

    case_id: str
    organisation_id: str
    customer_id: str
    contract_id: str
    number: str
    state: CaseState
    reason: str
    currency: str
    opened_us: int
    opened_by: str
    closed_us: int | None
    closed_by: str
    closed_reason: str
    redirect_percent: int
    plan: str
    plan_until_us: int | None
    gate_open: bool
    gate_us: int | None
    redirected_us: int | None
    restored_us: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseEventRow:
    """One line of a case's history."""

    event_id: str
    organisation_id: str
    case_id: str
    at_us: int
    kind: str
    text: str
    actor: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DisputeRow:
    """A dispute the customer raised; of one contract, or of all where `contract_id` is None."""

    dispute_id: str
    organisation_id: str
    customer_id: str
    contract_id: str | None
    text: str
    raised_us: int
    raised_by: str
    resolved_us: int | None
    resolved_by: str
    resolution: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LegalHoldRow:
    """A legal hold. It covers what its contract, site and customer all match; none set: everything."""

    hold_id: str
    organisation_id: str
    customer_id: str | None
    contract_id: str | None
    site_id: str | None
    reason: str
    placed_us: int
    placed_by: str
    lifted_us: int | None
    lifted_by: str
    lift_reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalRow:
    """One person's approval of a redirect, bound to a hash of case, units and amount."""

    approval_id: str
    organisation_id: str
    case_id: str
    user_id: str
    user_name: str
    binding: str
    at_us: int
    withdrawn_us: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class GateRow:
    """The gate as it was judged when it opened or shut, or when orders followed from it: what a redirect rests on.

    `conditions` is JSON: key, met, effect, title, text, evidence of each. `unit_ids` is a JSON list.
    """

    gate_id: str
    organisation_id: str
    case_id: str
    at_us: int
    occasion: str
    open: bool
    conditions: str
    currency: str
    claim_micro: int
    to_cure_micro: int
    binding: str
    unit_ids: str


class DefaultsStore(Protocol):
    """Read and write cases and their surroundings."""

    async def add_case(self, row: CaseRow) -> None: ...

    async def case(self, organisation_id: str, case_id: str) -> CaseRow | None: ...

    async def cases(
        self,
        organisation_id: str,
        *,
        customer_id: str | None = None,
        contract_id: str | None = None,
        live_only: bool = False,
    ) -> list[CaseRow]:
        """Newest first."""
        ...

    async def update_case(self, row: CaseRow) -> None: ...

    async def next_number(self, organisation_id: str) -> str:
        """A case number that was not given out, `DC-0031`."""
        ...

    async def add_invoice(self, organisation_id: str, case_id: str, invoice_id: str) -> None: ...

    async def invoice_ids(self, organisation_id: str, case_id: str) -> list[str]: ...

    async def add_event(self, row: CaseEventRow) -> None: ...

    async def events(self, organisation_id: str, case_id: str) -> list[CaseEventRow]:
        """Oldest first."""
        ...

    async def add_gate(self, row: GateRow) -> None: ...

    async def gates(self, organisation_id: str, case_id: str) -> list[GateRow]:
        """Oldest first."""
        ...

    async def add_dispute(self, row: DisputeRow) -> None: ...

    async def dispute(self, organisation_id: str, dispute_id: str) -> DisputeRow | None: ...

    async def disputes(self, organisation_id: str, customer_id: str | None = None) -> list[DisputeRow]:
        """Newest first, resolved ones too."""
        ...

    async def update_dispute(self, row: DisputeRow) -> None: ...

    async def add_hold(self, row: LegalHoldRow) -> None: ...

    async def hold(self, organisation_id: str, hold_id: str) -> LegalHoldRow | None: ...

    async def holds(self, organisation_id: str) -> list[LegalHoldRow]:
        """Newest first, lifted ones too."""
        ...

    async def update_hold(self, row: LegalHoldRow) -> None: ...

    async def add_approval(self, row: ApprovalRow) -> None: ...

    async def approvals(self, organisation_id: str, case_id: str) -> Sequence[ApprovalRow]:
        """Oldest first, withdrawn ones too."""
        ...

    async def withdraw_approvals(self, organisation_id: str, case_id: str, user_id: str, at_us: int) -> None: ...
