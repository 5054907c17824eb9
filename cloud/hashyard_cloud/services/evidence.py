"""Evidence bundles: everything about one default case in one signed file."""

import json
from typing import Any, Final

from hashyard_cloud.services import activity
from hashyard_cloud.services.defaults import Defaults
from hashyard_cloud.services.evidence_bundle import KEYS, NOTICES, ORDERS, PUBLISHED, dumps, signed_bundle
from hashyard_cloud.services.evidence_files import (
    Material,
    gather,
    journal_file,
    plain,
    plain_all,
    unit_histories,
)
from hashyard_cloud.services.evidence_summary import summary
from hashyard_cloud.services.ports.activity import Actor
from hashyard_cloud.services.ports.database import Transaction
from hashyard_cloud.services.ports.documents import DocumentRenderer
from hashyard_cloud.services.signing_keys import SigningKeys
from hashyard_shared.clock import Clock, utc
from hashyard_shared.signing import DocumentType, Envelope, decode_base64, verify

README: Final = """Evidence bundle of one default case.

summary.pdf            what a person reads first
case.json              the case, its gate, approvals, disputes, holds, history
contract.json          the contract with every version and clause
notices.json, notices/ what was sent, what the mail server said, proofs of delivery
orders.json            every order: the bytes that were signed, the signature, what they say
units.json             each unit before, during and after
unit-events.json       what the agents reported, as received
journal/               the agents' journals; lines about other customers are withheld, their hashes stand in
amounts.json           invoices, ledger, payments, what was recovered day by day and at which hashprice
keys.json              the organisation's signing keys (public halves)

To verify: hashyard-cloud evidence verify FILE

By hand, with any SHA-256 and Ed25519 tools:
1. Compare the SHA-256 of each file with manifest.json.
2. manifest.signature.json holds payload and signature in base64. The payload is the SHA-256 of manifest.json.
   Signed is the text "hashyard:1:evidence", a zero byte, and the payload, by the "signing_key" of manifest.json.
   The key's fingerprint is the first 32 hex digits of the SHA-256 of its 32 bytes; compare it with the one your
   contract or enrolment sheet names.
3. Each order: signed is "hashyard:1:order", a zero byte, and its payload, by a key of keys.json.
4. Each journal line: its hash is the SHA-256 of "hashyard:journal:" and the line's text; the text contains the
   hash of the line before it as "prev".
5. journal/published.json: the hash that was told on each day is the hash of that line in the journal.
"""


class Evidence:
    """Builds bundles in the caller's transaction."""

    def __init__(self, clock: Clock, keys: SigningKeys, defaults: Defaults, renderer: DocumentRenderer) -> None:
        self._clock = clock
        self._keys = keys
        self._defaults = defaults
        self._renderer = renderer

    async def bundle(self, tx: Transaction, organisation_id: str, actor: Actor, case_id: str) -> tuple[str, bytes]:
        """A file name and the ZIP; that it was made stands in the activity log. Errors: `NotFoundError`."""
        material = await gather(tx, self._defaults, organisation_id, case_id)
        now_us = self._clock.now_us()
        files = self._files(material, now_us)
        case = material.view.case
        about = {
            "organisation": material.organisation.name,
            "organisation_id": organisation_id,
            "case": case.number,
            "case_id": case_id,
            "created_us": now_us,
            "created_by": actor.name,
        }
        data = signed_bundle(files, about, await self._keys.current_key(tx, organisation_id))
        await activity.record(
            tx,
            now_us,
            organisation_id,
            actor,
            "evidence.exported",
            f"Evidence bundle of {case.number} made, {len(data)} bytes",
            customer_id=case.customer_id,
            object_kind="case",
            object_id=case_id,
        )
        return f"{case.number}-evidence-{utc(now_us):%Y%m%dT%H%M%SZ}.zip", data

    def _files(self, material: Material, now_us: int) -> dict[str, bytes]:
        histories = unit_histories(material)
        document = summary(material, histories, now_us, self._defaults.rules.bounce_wait_s)
        customer_id = material.customer.customer_id
        files = {
            "README.txt": README.encode(),
            "summary.pdf": self._renderer.render(document),
            "case.json": dumps(_case(material)),
            "contract.json": dumps(
                {"contract": plain(material.contract), "versions": plain_all(material.versions)}
            ),
            ORDERS: dumps(_orders(material)),
            "units.json": dumps(histories),
            "unit-events.json": dumps(plain_all(material.unit_events)),
            "amounts.json": dumps(_amounts(material)),
            KEYS: dumps(
                [
                    {
                        "fingerprint": row.fingerprint,
                        "public_key": row.public_key,
                        "slot": row.slot.value,
                        "created_us": row.created_us,
                        "retired_us": row.retired_us,
                    }
                    for row in material.keys
                ]
            ),
            PUBLISHED: dumps(plain_all(material.published)),
        }
        for agent_id, lines in material.journals.items():
            files[f"journal/{agent_id}.jsonl"] = journal_file(lines, material.unit_ids, customer_id)
        return files | _notices(material)


def _case(material: Material) -> dict[str, Any]:
    view = material.view
    return {
        "case": plain(view.case),
        "customer": {"name": material.customer.name, "company": material.customer.company},
        "gate_records": [
            {
                **plain(row),
                "conditions": json.loads(row.conditions),
                "unit_ids": json.loads(row.unit_ids),
            }
            for row in material.gates
        ],
        "gate_now": [
            {"condition": item.key.value, "met": item.met, "text": item.text, "evidence": item.evidence}
            for item in view.verdict.conditions
        ],
        "approvals_required": view.approvals_required,
        "approvals": plain_all(view.approvals),
        "disputes": plain_all(view.disputes),
        "legal_holds": plain_all(view.legal_holds),
        "history": plain_all(view.events),
    }


def _orders(material: Material) -> list[dict[str, Any]]:
    publics = {row.fingerprint: decode_base64(row.public_key) for row in material.keys}
    found = []
    for row in material.orders:
        envelope = Envelope.model_validate_json(row.envelope)
        payload = verify(publics[envelope.key], DocumentType.ORDER, envelope)
        found.append(
            {
                "envelope": envelope.model_dump(),
                "order": json.loads(payload),
                "refused_us": row.refused_us,
                "refused_code": row.refused_code.value if row.refused_code else None,
                "refused_detail": row.refused_detail,
            }
        )
    return found


def _amounts(material: Material) -> dict[str, Any]:
    money = material.view.money
    return {
        "currency": material.view.case.currency,
        "unit": "millionths",
        "claim_micro": money.claim.micro,
        "open_micro": money.open.micro,
        "recovered_micro": money.recovered.micro,
        "surplus_micro": money.surplus.micro,
        "to_cure_micro": money.to_cure.micro,
        "invoices": plain_all(material.view.invoices),
        "invoice_lines": plain_all(material.invoice_lines),
        "ledger": plain_all(material.ledger),
        "payments": plain_all(material.payments),
        "redirect_ledger": plain_all(material.view.accruals),
        "pool_figures": plain_all(material.pool_figures),
    }


def _notices(material: Material) -> dict[str, bytes]:
    files: dict[str, bytes] = {}
    listed = []
    for row in material.view.notices:
        text = f"notices/{row.notice_id}.txt"
        files[text] = f"To: {row.to_address}\nSubject: {row.subject}\n\n{row.body}".encode()
        proof = material.proofs.get(row.notice_id)
        proof_file = f"notices/{row.notice_id}.proof" if proof is not None else None
        if proof is not None and proof_file is not None:
            files[proof_file] = proof
        listed.append({**plain(row), "text_file": text, "proof_file": proof_file})
    return {**files, NOTICES: dumps(listed)}
