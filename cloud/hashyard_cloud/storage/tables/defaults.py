"""Default cases with their invoices, history, disputes, legal holds and approvals."""

from sqlalchemy import BigInteger, Boolean, Column, ForeignKey, Index, Integer, Table, Text

from hashyard_cloud.storage.metadata import METADATA

DEFAULT_CASES = Table(
    "default_cases",
    METADATA,
    Column("case_id", Text, primary_key=True),
    Column("organisation_id", Text, ForeignKey("organisations.organisation_id"), nullable=False),
    Column("customer_id", Text, ForeignKey("customers.customer_id"), nullable=False),
    Column("contract_id", Text, ForeignKey("contracts.contract_id"), nullable=False),
    Column("number", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("currency", Text, nullable=False),
    Column("opened_us", BigInteger, nullable=False),
    Column("opened_by", Text, nullable=False),
    Column("closed_us", BigInteger),
    Column("closed_by", Text, nullable=False),
    Column("closed_reason", Text, nullable=False),
    Column("redirect_percent", Integer, nullable=False),
    Column("plan", Text, nullable=False),
    Column("plan_until_us", BigInteger),
    Column("gate_open", Boolean, nullable=False),
    Column("gate_us", BigInteger),
    Column("redirected_us", BigInteger),
    Column("restored_us", BigInteger),
    Index("ux_default_cases_number", "organisation_id", "number", unique=True),
    Index("ix_default_cases_contract", "organisation_id", "contract_id"),
    Index("ix_default_cases_state", "organisation_id", "state"),
)

CASE_EVENTS = Table(
    "case_events",
    METADATA,
    Column("event_id", Text, primary_key=True),
    Column("organisation_id", Text, ForeignKey("organisations.organisation_id"), nullable=False),
    Column("case_id", Text, ForeignKey("default_cases.case_id"), nullable=False),
    Column("at_us", BigInteger, nullable=False),
    Column("kind", Text, nullable=False),
    Column("text", Text, nullable=False),
    Column("actor", Text, nullable=False),
    Index("ix_case_events_case", "organisation_id", "case_id", "at_us"),
)

GATE_RECORDS = Table(
    "gate_records",
    METADATA,
    Column("gate_id", Text, primary_key=True),
    Column("organisation_id", Text, ForeignKey("organisations.organisation_id"), nullable=False),
    Column("case_id", Text, ForeignKey("default_cases.case_id"), nullable=False),
    Column("at_us", BigInteger, nullable=False),
    Column("occasion", Text, nullable=False),
    Column("open", Boolean, nullable=False),
    Column("conditions", Text, nullable=False),
    Column("currency", Text, nullable=False),
    Column("claim_micro", BigInteger, nullable=False),
    Column("to_cure_micro", BigInteger, nullable=False),
    Column("binding", Text, nullable=False),
    Column("unit_ids", Text, nullable=False),
    Index("ix_gate_records_case", "organisation_id", "case_id", "at_us"),
)

DISPUTES = Table(
    "disputes",
    METADATA,
    Column("dispute_id", Text, primary_key=True),
    Column("organisation_id", Text, ForeignKey("organisations.organisation_id"), nullable=False),
    Column("customer_id", Text, ForeignKey("customers.customer_id"), nullable=False),
    Column("contract_id", Text),
    Column("text", Text, nullable=False),
    Column("raised_us", BigInteger, nullable=False),
    Column("raised_by", Text, nullable=False),
    Column("resolved_us", BigInteger),
    Column("resolved_by", Text, nullable=False),
    Column("resolution", Text, nullable=False),
    Index("ix_disputes_customer", "organisation_id", "customer_id"),
)

LEGAL_HOLDS = Table(
    "legal_holds",
    METADATA,
    Column("hold_id", Text, primary_key=True),
    Column("organisation_id", Text, ForeignKey("organisations.organisation_id"), nullable=False),
    Column("customer_id", Text),
    Column("contract_id", Text),
    Column("site_id", Text),
    Column("reason", Text, nullable=False),
    Column("placed_us", BigInteger, nullable=False),
    Column("placed_by", Text, nullable=False),
    Column("lifted_us", BigInteger),
    Column("lifted_by", Text, nullable=False),
    Column("lift_reason", Text, nullable=False),
    Index("ix_legal_holds_organisation", "organisation_id"),
)

APPROVALS = Table(
    "approvals",
    METADATA,
    Column("approval_id", Text, primary_key=True),
    Column("organisation_id", Text, ForeignKey("organisations.organisation_id"), nullable=False),
    Column("case_id", Text, ForeignKey("default_cases.case_id"), nullable=False),
    Column("user_id", Text, nullable=False),
    Column("user_name", Text, nullable=False),
    Column("binding", Text, nullable=False),
    Column("at_us", BigInteger, nullable=False),
    Column("withdrawn_us", BigInteger),
    Index("ix_approvals_case", "organisation_id", "case_id"),
)

CASE_INVOICES = Table(
    "case_invoices",
    METADATA,
    Column("organisation_id", Text, ForeignKey("organisations.organisation_id"), nullable=False),
    Column("case_id", Text, ForeignKey("default_cases.case_id"), primary_key=True),
    Column("invoice_id", Text, ForeignKey("invoices.invoice_id"), primary_key=True),
)

CASE_NUMBERS = Table(
    "case_numbers",
    METADATA,
    Column("organisation_id", Text, ForeignKey("organisations.organisation_id"), primary_key=True),
    Column("last", Integer, nullable=False),
)
