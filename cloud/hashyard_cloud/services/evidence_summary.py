"""The summary of an evidence bundle: what a person reads first."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from hashyard_cloud.domain.dunning import duration_text
from hashyard_cloud.domain.money import Money
from hashyard_cloud.services.evidence_files import Material
from hashyard_cloud.services.ports.contracts import ContractVersionRow
from hashyard_cloud.services.ports.documents import Document, Section, Table
from hashyard_shared.clock import iso
from hashyard_shared.signing import grouped

MAX_UNITS_SHOWN: Final = 300
MAX_ORDERS_SHOWN: Final = 300
NOTHING: Final = "-"
CTHS_PER_THS: Final = 100
MICRO: Final = 1_000_000


def summary(
    material: Material, histories: Sequence[Mapping[str, Any]], created_us: int, bounce_wait_s: int
) -> Document:
    """The document."""
    case = material.view.case
    return Document(
        title=f"Evidence of default case {case.number}",
        subtitle=f"{material.organisation.name} against {material.customer.company or material.customer.name}",
        created_us=created_us,
        sections=[
            _case(material),
            _contract(material),
            _gate(material),
            _amounts(material),
            _notices(material, bounce_wait_s),
            _history(material),
            _orders(material),
            _units(histories),
            _recovered(material),
            _journal(material),
            _how_to_verify(material),
        ],
    )


def _when(at_us: int | None) -> str:
    return iso(at_us) if at_us is not None else NOTHING


def _case(material: Material) -> Section:
    case = material.view.case
    counts = material.view.counts
    lines = [
        f"Reason: {case.reason}.",
        f"State: {case.state.value}. Opened {_when(case.opened_us)} by {case.opened_by}"
        + (
            f", closed {_when(case.closed_us)} by {case.closed_by}: {case.closed_reason}."
            if case.closed_us
            else "."
        ),
        (
            f"Redirect: {counts.state.value}; {counts.at_pool} of {counts.units} units at the holding pool, "
            f"level 3 or better, {counts.given_back} given back. "
            f"Agreed share: {case.redirect_percent} % of the hashrate."
        ),
        (
            "All times are UTC. Levels: 1 sent, 2 read back equal, 3 the active pool is the holding pool, "
            "4 shares advance there. Levels 2 to 4 are the miner's own word as the agent read it; "
            "level 5 is the pool's own figure."
        ),
    ]
    return Section("The case", lines)


def _terms(row: ContractVersionRow) -> str:
    names = (("due", row.due_s), ("grace", row.grace_s), ("cure", row.cure_s))
    return ", ".join(f"{name} {duration_text(seconds)}" for name, seconds in names)


def _contract(material: Material) -> Section:
    rows = [
        (
            str(row.version),
            _when(row.effective_us),
            _terms(row),
            f"given, accepted {_when(row.accepted_us)} by {row.accepted_by}"
            if row.redirect_clause_given
            else "not given",
        )
        for row in material.versions
    ]
    clauses = [
        f"Redirect clause of version {row.version}: {row.redirect_clause}"
        for row in material.versions
        if row.redirect_clause
    ]
    table = Table(("Version", "In force from", "Terms", "Redirect clause"), (8, 20, 36, 36), rows)
    return Section(f"Contract {material.contract.number}", clauses, table)


def _gate(material: Material) -> Section:
    """As it was judged when the first redirect was ordered; without one, as it is now."""
    headings, widths = ("Condition", "Met", "What was found"), (30, 8, 62)
    first = next((row for row in material.gates if row.occasion == "redirect-ordered"), None)
    if first is None:
        rows = [(item.title, "yes" if item.met else "no", item.text) for item in material.view.verdict.conditions]
        title = "Redirect gate as of now (no redirect was ordered)"
        return Section(title, table=Table(headings, widths, rows))
    rows = [(item["title"], "yes" if item["met"] else "no", item["text"]) for item in json.loads(first.conditions)]
    claim = Money(first.claim_micro, first.currency).text()
    lines = [
        (
            f"Claim {claim}, {len(json.loads(first.unit_ids))} units. "
            f"{len(material.gates)} judgements are on record; each is in case.json."
        )
    ]
    title = f"Redirect gate when the first redirect was ordered, {_when(first.at_us)}"
    return Section(title, lines, Table(headings, widths, rows))


def _amounts(material: Material) -> Section:
    money = material.view.money
    total = f"Claim {money.claim.text()}, recovered {money.recovered.text()}, to cure {money.to_cure.text()}"
    surplus = f", surplus credited {money.surplus.text()}" if money.surplus.positive else ""
    numbers = {row.invoice_id: row.number for row in material.view.invoices}
    rows = [
        (
            _when(row.at_us),
            row.kind.value,
            numbers.get(row.invoice_id or "", "credit"),
            Money(row.amount_micro, row.currency).text(),
            row.note or NOTHING,
        )
        for row in material.ledger
    ]
    return Section(
        "Amounts",
        [f"{total}{surplus}."],
        Table(("When", "Entry", "Invoice", "Amount", "Note"), (20, 14, 14, 18, 34), rows),
    )


def _notices(material: Material, bounce_wait_s: int) -> Section:
    rows = [
        (
            row.kind.label,
            row.to_address,
            _when(row.created_us),
            f"{_when(row.accepted_us)} {row.reply}" if row.accepted_us else row.reply or "not accepted",
            f"bounced {_when(row.bounced_us)}: {row.bounce}" if row.bounced_us else "none",
            f"{row.proof_name} ({_when(row.proof_us)})" if row.proof_us else NOTHING,
        )
        for row in material.view.notices
    ]
    how = (
        f"A notice counts as delivered when the mail server accepted it and no bounce came in "
        f"{duration_text(bounce_wait_s)}, or by an uploaded proof."
    )
    headings = ("Notice", "To", "Sent", "Accepted by the mail server", "Bounce", "Proof")
    return Section("Notices", [how], Table(headings, (16, 20, 16, 24, 10, 14), rows))


def _history(material: Material) -> Section:
    rows = [(_when(row.at_us), row.kind, row.text, row.actor) for row in material.view.events]
    approvals = [
        f"Approved by {row.user_name} {_when(row.at_us)}, bound to {row.binding}"
        + (f", withdrawn {_when(row.withdrawn_us)}" if row.withdrawn_us else "")
        for row in material.view.approvals
    ]
    freezes = [
        f"Dispute raised {_when(row.raised_us)} by {row.raised_by}: {row.text}"
        + (f"; resolved {_when(row.resolved_us)}: {row.resolution}" if row.resolved_us else "; open")
        for row in material.view.disputes
    ]
    return Section(
        "History", [*approvals, *freezes], Table(("When", "What", "Text", "Who"), (20, 14, 52, 14), rows)
    )


def _orders(material: Material) -> Section:
    labels = {row.unit_id: row.label for row in material.view.units}
    rows = [
        (
            labels.get(row.unit_id, row.unit_id),
            row.kind.value,
            row.reason.value,
            _when(row.issued_us),
            _when(row.expires_us) if row.expires_us else "never",
            f"{row.refused_code.value}: {row.refused_detail}" if row.refused_code else "no",
        )
        for row in material.orders[:MAX_ORDERS_SHOWN]
    ]
    more = len(material.orders) - len(rows)
    lines = [f"{len(material.orders)} orders, each signed by the organisation's key; see orders.json."]
    if more:
        lines.append(f"{more} more are in orders.json.")
    headings = ("Unit", "Order", "Reason", "Signed", "Expires", "Refused")
    return Section("Orders", lines, Table(headings, (16, 10, 18, 18, 18, 20), rows))


def _pools(before: Mapping[str, Any] | None) -> str:
    """The first pool as the journal's write-intent shows it; all stand in units.json."""
    if before is None:
        return "no data"
    pools = before["pools"]
    first = f"{pools[0][0]} as {pools[0][1]}" if pools else "none"
    more = f" and {len(pools) - 1} more" if len(pools) > 1 else ""
    return f"{first}{more} (journal line {before['journal_line']})"


def _seen(at_us: int | None, level: int, pool: str | None) -> str:
    return f"{_when(at_us)}, level {level}, {pool or NOTHING}"


def _units(histories: Sequence[Mapping[str, Any]]) -> Section:
    rows = []
    for one in histories[:MAX_UNITS_SHOWN]:
        during, after = one["during"], one["after"]
        mined = during["ths_hours_micro"] / MICRO
        rows.append(
            (
                f"{one['label']} {one['mac']}",
                _pools(one["before"]),
                _seen(during["first_confirmed_us"], during["highest_level"], during["pool"]),
                f"{mined:,.1f}",
                _seen(after["restored_us"], after["level"], after["pool"]),
            )
        )
    more = len(histories) - len(rows)
    headings = ("Unit", "Before", "At the holding pool", "TH/s x h", "Given back")
    return Section(
        "Units before, during and after",
        [f"{more} more are in units.json."] if more else [],
        Table(headings, (20, 23, 25, 8, 24), rows),
    )


def _recovered(material: Material) -> Section:
    days: dict[tuple[str, int, str], tuple[int, int]] = {}
    for row in material.view.accruals:
        key = (row.day, row.hashprice_micro, row.hashprice_source)
        hours, worth = days.get(key, (0, 0))
        days[key] = (hours + row.ths_hours_micro, worth + row.value_micro)
    pool: dict[str, int] = {}
    for figure in material.pool_figures:
        pool[figure.day] = pool.get(figure.day, 0) + figure.hashrate_cths
    currency = material.view.case.currency
    rows = [
        (
            day,
            f"{hours / MICRO:,.1f}",
            f"{pool[day] * 24 / CTHS_PER_THS:,.1f}" if day in pool else "no data",
            f"{price / MICRO:.6f} ({source})",
            Money(worth, currency).text(),
        )
        for (day, price, source), (hours, worth) in sorted(days.items())
    ]
    sources = sorted({f"{row.source} (SHA-256 {row.source_sha256})" for row in material.pool_figures})
    lines = [
        f"Pool's own figures (level 5) from {', '.join(sources)}."
        if sources
        else "The pool's own figures (level 5) were not imported."
    ]
    headings = ("Day", "TH/s x h, miners", "TH/s x h, pool", "Hashprice per TH/s and day", "Value")
    return Section("Recovered at the holding pool", lines, Table(headings, (16, 18, 18, 30, 18), rows))


def _journal(material: Material) -> Section:
    lines = [
        f"Journal of agent {agent_id}: {len(found)} lines, head {found[-1].hash if found else NOTHING}."
        for agent_id, found in material.journals.items()
    ]
    rows = [(row.day, row.agent_id, str(row.lines), row.hash) for row in material.published]
    return Section(
        "Journal", lines, Table(("Told to the customer", "Agent", "Lines", "Head"), (14, 30, 8, 48), rows)
    )


def _how_to_verify(material: Material) -> Section:
    keys = [f"Signing key {grouped(row.fingerprint)} ({row.slot.value})" for row in material.keys]
    return Section(
        "How to verify",
        [
            (
                "hashyard-cloud evidence verify FILE checks every file, signature and journal line, without any "
                "service. README.txt in the bundle says how to do the same by hand."
            ),
            *keys,
        ],
    )
