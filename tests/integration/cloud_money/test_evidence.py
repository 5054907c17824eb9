"""Evidence bundles: verified, or refused whatever byte was changed; nothing of other customers in them."""

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from hashyard_cloud.adapters.pool_figures_csv import CsvPoolFigures
from hashyard_cloud.cli_evidence import evidence_cli
from hashyard_cloud.errors import MalformedError, NotFoundError
from hashyard_cloud.services import notices, pool_figures
from hashyard_cloud.services.evidence_bundle import signed_bundle, verify_bundle
from hashyard_cloud.services.journal_heads import JournalHeads
from hashyard_shared.events import JournalAppended, UnitPhase
from hashyard_shared.journal import GENESIS, next_line
from hashyard_shared.signing import fingerprint, new_private_key, public_bytes
from hashyard_support.money import OWNER, Host, S

OTHER = "unit-of-somebody-else"
POOL = ["stratum+tcp://customer-pool.example:3333", "ridge.A-01"]


async def lived(host: Host) -> str:
    """A case from default over redirect, with a journal, a proof and pool figures, to restore."""
    case = await host.to_confirmed()
    first = next(order for order in await host.orders() if order.unit_id == "unit-1")
    previous = GENESIS
    lines = []
    told: list[dict[str, Any]] = [
        {"unit_id": first.unit_id, "order_id": first.order_id, "before": [POOL], "target": []},
        {"unit_id": OTHER, "order_id": "x", "before": [["stratum+tcp://secret.example:1", "secret"]]},
        {"control": "pools-recorded", "value": "another-customer", "actor": "tech"},
        {"state": "on"},
    ]
    for index, data in enumerate(told):
        lines.append(next_line(index, previous, index, "write-intent", data))
        previous = lines[-1].hash
    await host.event(JournalAppended(at_us=host.clock.now_us(), lines=lines))
    await JournalHeads(host.database, host.clock).run()
    day = b"day,worker,hashrate_ths,shares\n2026-02-02,host.A-01,99.5,1200\n2026-02-02,other,1,1\n"
    async with host.database.transaction() as tx:
        now_us = host.clock.now_us()
        notice = (await tx.notices.all(host.org, case_id=case.case_id))[0]
        await notices.upload_proof(tx, now_us, host.org, OWNER, notice.notice_id, "receipt.pdf", b"signed by hand")
        await pool_figures.take_in(tx, now_us, host.org, OWNER, "holding", CsvPoolFigures("pool.csv", day))
    async with host.database.transaction() as tx:
        customer = await tx.customers.get(host.org, host.customer)
        assert customer is not None
        owed = await host.built.payments.owed(tx, customer, "USD")
        await host.built.payments.record(tx, host.org, OWNER, host.customer, owed, "key")
    host.clock.pass_s(1)
    for row in await host.rows():
        await host.report(row, UnitPhase.RESTORED, 3)
    return case.case_id


async def bundle(host: Host, case_id: str) -> bytes:
    async with host.database.transaction() as tx:
        name, data = await host.built.evidence.bundle(tx, host.org, OWNER, case_id)
    assert name.startswith("DC-0001-evidence-")
    return data


def contents(data: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


@pytest.mark.parametrize("engine", ["sqlite", "postgresql"])
async def test_a_bundle_holds_the_case_and_verifies(host: Host) -> None:
    data = await bundle(host, await lived(host))
    report = verify_bundle(data)
    assert report.ok, report.checks
    async with host.database.reading() as tx:
        public = (await host.built.keys.public_keys(tx, host.org))[0]
    assert report.signer == fingerprint(public)
    assert verify_bundle(data, fingerprint(public)).ok
    assert not verify_bundle(data, "0" * 32).ok

    files = contents(data)
    assert files["summary.pdf"].startswith(b"%PDF-")
    orders = json.loads(files["orders.json"])
    assert [row["order"]["kind"] for row in orders] == ["redirect"] * 3 + ["restore"] * 3
    units = {row["label"]: row for row in json.loads(files["units.json"])}
    assert units["A-01"]["before"] == {"journal_line": 0, "pools": [POOL]}
    assert units["A-01"]["during"]["highest_level"] == 4
    assert units["A-01"]["after"] == {
        "restore_ordered": True,
        "restored_us": host.clock.now_us(),
        "level": 3,
        "pool": None,
        "worker": None,
    }
    gates = json.loads(files["case.json"])["gate_records"]
    ordered = next(row for row in gates if row["occasion"] == "redirect-ordered")
    assert ordered["claim_micro"] == 1_000 * S
    assert all(item["met"] for item in ordered["conditions"])
    contract = json.loads(files["contract.json"])
    assert contract["versions"][0]["redirect_clause"].startswith("§ 9.3")
    assert any(row["proof_file"] for row in json.loads(files["notices.json"]))


async def test_nothing_of_other_customers_is_in_it(host: Host) -> None:
    files = contents(await bundle(host, await lived(host)))
    everything = b"".join(files.values())
    for foreign in (b"secret.example", OTHER.encode(), b"another-customer", b"tx_hidden"):
        assert foreign not in everything
    lines = [json.loads(line) for line in files["journal/agent-1.jsonl"].splitlines()]
    assert [line.get("withheld", False) for line in lines] == [False, True, True, False]


async def test_any_changed_byte_is_refused(host: Host) -> None:
    data = await bundle(host, await lived(host))
    step = max(1, len(data) // 400)
    for at in [*range(0, len(data), step), len(data) - 1]:
        changed = bytearray(data)
        changed[at] ^= 0x01
        assert not verify_bundle(bytes(changed)).ok, at
    assert not verify_bundle(data[:-1]).ok
    assert not verify_bundle(data + b"\0").ok
    assert not verify_bundle(b"").ok


@pytest.mark.parametrize(
    ("name", "old", "new", "check"),
    [
        ("orders.json", b'"reason": "default-uncured"', b'"reason": "operator"', "orders"),
        ("journal/agent-1.jsonl", b"customer-pool", b"another--pool", "journal"),
        ("journal/published.json", b'"lines": 4', b'"lines": 3', "published heads"),
    ],
)
async def test_a_bundle_signed_anew_still_has_to_be_true(
    host: Host, name: str, old: bytes, new: bytes, check: str
) -> None:
    files = contents(await bundle(host, await lived(host)))
    kept = {key: body for key, body in files.items() if not key.startswith("manifest.")}
    assert old in kept[name]
    kept[name] = kept[name].replace(old, new)
    forger = new_private_key()
    report = verify_bundle(signed_bundle(kept, {}, forger))
    assert [item.name for item in report.checks if not item.passed] == [check]
    assert report.signer == fingerprint(public_bytes(forger))


async def test_the_command_verifies_and_refuses(host: Host, tmp_path: Path) -> None:
    data = await bundle(host, await lived(host))
    good, bad = tmp_path / "good.zip", tmp_path / "bad.zip"
    good.write_bytes(data)
    changed = bytearray(data)
    changed[len(changed) // 2] ^= 0x10
    bad.write_bytes(bytes(changed))
    runner = CliRunner()
    passed = runner.invoke(evidence_cli, ["verify", str(good)])
    assert passed.exit_code == 0, passed.output
    assert "The bundle is whole" in passed.output
    refused = runner.invoke(evidence_cli, ["verify", str(bad)])
    assert refused.exit_code == 1
    assert "REFUSED" in refused.output


async def test_a_case_of_another_organisation_is_not_found(host: Host) -> None:
    case_id = await lived(host)
    with pytest.raises(NotFoundError):
        async with host.database.transaction() as tx:
            await host.built.evidence.bundle(tx, "org-2", OWNER, case_id)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"day,worker\n2026-01-01,a\n", "must name the columns"),
        (b"day,worker,hashrate_ths\n2026-13-01,a,1\n", "Line 2: give a day"),
        (b"day,worker,hashrate_ths\n2026-01-01,a,inf\n", "Line 2: hashrate_ths is out of range"),
        (b"day,worker,hashrate_ths\n2026-01-01,a,x\n", "Line 2: hashrate_ths or shares is not a number"),
        (b"\xff\xfe\x00", "not a CSV"),
    ],
)
def test_pool_figures_that_cannot_be_read_name_the_line(body: bytes, said: str) -> None:
    with pytest.raises(MalformedError, match=said):
        CsvPoolFigures("x.csv", body).read()
