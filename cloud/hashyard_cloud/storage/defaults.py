"""Default cases, disputes, legal holds and approvals in the relational store."""

from sqlalchemy import insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from hashyard_cloud.domain.default import CaseState
from hashyard_cloud.services.ports.defaults import (
    ApprovalRow,
    CaseEventRow,
    CaseRow,
    DisputeRow,
    GateRow,
    LegalHoldRow,
)
from hashyard_cloud.storage.rows import loaded, values
from hashyard_cloud.storage.tables.defaults import (
    APPROVALS,
    CASE_EVENTS,
    CASE_INVOICES,
    CASE_NUMBERS,
    DEFAULT_CASES,
    DISPUTES,
    GATE_RECORDS,
    LEGAL_HOLDS,
)


class DefaultsStore:
    """SQL for cases; implements `services.ports.defaults.DefaultsStore`."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def add_case(self, row: CaseRow) -> None:
        await self._connection.execute(insert(DEFAULT_CASES).values(values(row)))

    async def case(self, organisation_id: str, case_id: str) -> CaseRow | None:
        query = select(DEFAULT_CASES).where(
            DEFAULT_CASES.c.organisation_id == organisation_id, DEFAULT_CASES.c.case_id == case_id
        )
        record = (await self._connection.execute(query)).one_or_none()
        return loaded(CaseRow, record) if record else None

    async def cases(
        self,
        organisation_id: str,
        *,
        customer_id: str | None = None,
        contract_id: str | None = None,
        live_only: bool = False,
    ) -> list[CaseRow]:
        query = select(DEFAULT_CASES).where(DEFAULT_CASES.c.organisation_id == organisation_id)
        if customer_id is not None:
            query = query.where(DEFAULT_CASES.c.customer_id == customer_id)
        if contract_id is not None:
            query = query.where(DEFAULT_CASES.c.contract_id == contract_id)
        if live_only:
            query = query.where(DEFAULT_CASES.c.state.in_([state.value for state in CaseState if state.live]))
        query = query.order_by(DEFAULT_CASES.c.opened_us.desc(), DEFAULT_CASES.c.number.desc())
        return [loaded(CaseRow, record) for record in (await self._connection.execute(query)).all()]

    async def update_case(self, row: CaseRow) -> None:
        query = update(DEFAULT_CASES).where(
            DEFAULT_CASES.c.organisation_id == row.organisation_id, DEFAULT_CASES.c.case_id == row.case_id
        )
        await self._connection.execute(query.values(values(row)))

    async def next_number(self, organisation_id: str) -> str:
        same = CASE_NUMBERS.c.organisation_id == organisation_id
        query = select(CASE_NUMBERS.c.last).where(same).with_for_update()
        last = (await self._connection.execute(query)).scalar_one_or_none()
        if last is None:
            await self._connection.execute(insert(CASE_NUMBERS).values(organisation_id=organisation_id, last=1))
        else:
            await self._connection.execute(update(CASE_NUMBERS).where(same).values(last=last + 1))
        return f"DC-{(last or 0) + 1:04d}"

    async def add_invoice(self, organisation_id: str, case_id: str, invoice_id: str) -> None:
        statement = insert(CASE_INVOICES).values(
            organisation_id=organisation_id, case_id=case_id, invoice_id=invoice_id
        )
        await self._connection.execute(statement)

    async def invoice_ids(self, organisation_id: str, case_id: str) -> list[str]:
        query = select(CASE_INVOICES.c.invoice_id).where(
            CASE_INVOICES.c.organisation_id == organisation_id, CASE_INVOICES.c.case_id == case_id
        )
        return [record[0] for record in (await self._connection.execute(query)).all()]

    async def add_event(self, row: CaseEventRow) -> None:
        await self._connection.execute(insert(CASE_EVENTS).values(values(row)))

    async def events(self, organisation_id: str, case_id: str) -> list[CaseEventRow]:
        query = select(CASE_EVENTS).where(
            CASE_EVENTS.c.organisation_id == organisation_id, CASE_EVENTS.c.case_id == case_id
        )
        query = query.order_by(CASE_EVENTS.c.at_us, CASE_EVENTS.c.event_id)
        return [loaded(CaseEventRow, record) for record in (await self._connection.execute(query)).all()]

    async def add_gate(self, row: GateRow) -> None:
        await self._connection.execute(insert(GATE_RECORDS).values(values(row)))

    async def gates(self, organisation_id: str, case_id: str) -> list[GateRow]:
        query = select(GATE_RECORDS).where(
            GATE_RECORDS.c.organisation_id == organisation_id, GATE_RECORDS.c.case_id == case_id
        )
        query = query.order_by(GATE_RECORDS.c.at_us, GATE_RECORDS.c.gate_id)
        return [loaded(GateRow, record) for record in (await self._connection.execute(query)).all()]

    async def add_dispute(self, row: DisputeRow) -> None:
        await self._connection.execute(insert(DISPUTES).values(values(row)))

    async def dispute(self, organisation_id: str, dispute_id: str) -> DisputeRow | None:
        query = select(DISPUTES).where(
            DISPUTES.c.organisation_id == organisation_id, DISPUTES.c.dispute_id == dispute_id
        )
        record = (await self._connection.execute(query)).one_or_none()
        return loaded(DisputeRow, record) if record else None

    async def disputes(self, organisation_id: str, customer_id: str | None = None) -> list[DisputeRow]:
        query = select(DISPUTES).where(DISPUTES.c.organisation_id == organisation_id)
        if customer_id is not None:
            query = query.where(DISPUTES.c.customer_id == customer_id)
        query = query.order_by(DISPUTES.c.raised_us.desc())
        return [loaded(DisputeRow, record) for record in (await self._connection.execute(query)).all()]

    async def update_dispute(self, row: DisputeRow) -> None:
        query = update(DISPUTES).where(
            DISPUTES.c.organisation_id == row.organisation_id, DISPUTES.c.dispute_id == row.dispute_id
        )
        await self._connection.execute(query.values(values(row)))

    async def add_hold(self, row: LegalHoldRow) -> None:
        await self._connection.execute(insert(LEGAL_HOLDS).values(values(row)))

    async def hold(self, organisation_id: str, hold_id: str) -> LegalHoldRow | None:
        query = select(LEGAL_HOLDS).where(
            LEGAL_HOLDS.c.organisation_id == organisation_id, LEGAL_HOLDS.c.hold_id == hold_id
        )
        record = (await self._connection.execute(query)).one_or_none()
        return loaded(LegalHoldRow, record) if record else None

    async def holds(self, organisation_id: str) -> list[LegalHoldRow]:
        query = select(LEGAL_HOLDS).where(LEGAL_HOLDS.c.organisation_id == organisation_id)
        query = query.order_by(LEGAL_HOLDS.c.placed_us.desc())
        return [loaded(LegalHoldRow, record) for record in (await self._connection.execute(query)).all()]

    async def update_hold(self, row: LegalHoldRow) -> None:
        query = update(LEGAL_HOLDS).where(
            LEGAL_HOLDS.c.organisation_id == row.organisation_id, LEGAL_HOLDS.c.hold_id == row.hold_id
        )
        await self._connection.execute(query.values(values(row)))

    async def add_approval(self, row: ApprovalRow) -> None:
        await self._connection.execute(insert(APPROVALS).values(values(row)))

    async def approvals(self, organisation_id: str, case_id: str) -> list[ApprovalRow]:
        query = select(APPROVALS).where(
            APPROVALS.c.organisation_id == organisation_id, APPROVALS.c.case_id == case_id
        )
        query = query.order_by(APPROVALS.c.at_us, APPROVALS.c.approval_id)
        return [loaded(ApprovalRow, record) for record in (await self._connection.execute(query)).all()]

    async def withdraw_approvals(self, organisation_id: str, case_id: str, user_id: str, at_us: int) -> None:
        query = update(APPROVALS).where(
            APPROVALS.c.organisation_id == organisation_id,
            APPROVALS.c.case_id == case_id,
            APPROVALS.c.user_id == user_id,
            APPROVALS.c.withdrawn_us.is_(None),
        )
        await self._connection.execute(query.values(withdrawn_us=at_us))
