"""Signing keys in two slots, sealed at rest; holding pools that never change once named."""

from dataclasses import replace
from pathlib import Path

import pytest

from hashyard_agent.key_rotations import followed
from hashyard_agent.trust import Trust
from hashyard_cloud.adapters.secret_box import AesSecretBox, MasterKeyError, UnsealError
from hashyard_cloud.domain.gate import ConditionKey
from hashyard_cloud.errors import ConflictError, ForbiddenError, MalformedError
from hashyard_cloud.services.ports.signing_keys import KeySlot
from hashyard_shared.orders import OrderKind
from hashyard_shared.signing import (
    DocumentType,
    decode_base64,
    encode_base64,
    fingerprint,
    new_private_key,
    public_bytes,
    verify,
)
from hashyard_shared.trust import pool_hash
from hashyard_support.money import OWNER, Host


async def test_rotation_moves_the_next_key_that_sites_have_pinned_into_use(host: Host) -> None:
    keys = host.built.keys
    async with host.database.transaction() as tx:
        current, following = await keys.public_keys(tx, host.org)
        before = await keys.sign(tx, host.org, DocumentType.TIME, b"now")
        await keys.rotate(tx, host.org, OWNER)
        after = await keys.sign(tx, host.org, DocumentType.TIME, b"now")
        pinned = await keys.public_keys(tx, host.org)
        slots = {row.fingerprint: row.slot for row in await tx.signing_keys.all(host.org)}
    assert verify(current, DocumentType.TIME, before) == b"now"
    assert verify(following, DocumentType.TIME, after) == b"now"
    assert pinned[0] == following
    assert pinned[1] not in {current, following}
    assert slots[fingerprint(current)] is KeySlot.RETIRED


def site_of(host: Host, keys: list[bytes], recovery: str | None = None) -> Trust:
    pinned = tuple(encode_base64(key) for key in keys)
    return Trust(organisation_id=host.org, site_id=host.site, signing_keys=pinned, recovery_key=recovery)


async def test_a_site_that_missed_three_rotations_follows_them_to_the_present_keys(host: Host) -> None:
    keys = host.built.keys
    async with host.database.transaction() as tx:
        pinned = site_of(host, await keys.public_keys(tx, host.org))
        for _ in range(3):
            await keys.rotate(tx, host.org, OWNER, revoke=True)
        chain = await keys.rotations(tx, host.org)
        present = await keys.public_keys(tx, host.org)
    slots = followed(pinned, chain)
    assert [decode_base64(key) for key in slots.trust.signing_keys] == present
    assert slots.trust.is_revoked(fingerprint(decode_base64(pinned.signing_keys[0])))
    assert (await host.activity()).count("signing-key.rotated") == 3


async def test_what_a_retired_key_signed_is_signed_anew_and_no_unit_is_stranded(host: Host) -> None:
    await host.to_confirmed()
    before = {order.order_id for order in await host.orders()}
    async with host.database.transaction() as tx:
        await host.built.keys.rotate(tx, host.org, OWNER)
    await host.dunning.run()
    # `orders` verifies each with the key that signs now.
    after = await host.orders()
    assert {order.kind for order in after} == {OrderKind.REDIRECT}
    assert len(after) == 3
    assert before.isdisjoint(order.order_id for order in after)
    await host.dunning.run()
    assert [order.order_id for order in await host.orders()] == [order.order_id for order in after]


async def test_the_recovery_key_replaces_stolen_keys_everywhere(host: Host) -> None:
    keys = host.built.keys
    async with host.database.transaction() as tx:
        stolen = await keys.public_keys(tx, host.org)
        with pytest.raises(ForbiddenError):
            await keys.recover(tx, host.org, OWNER, new_private_key())
        recovery = await keys.make_recovery_key(tx, host.org, OWNER)
        with pytest.raises(ConflictError, match="already"):
            await keys.make_recovery_key(tx, host.org, OWNER)
        pinned = site_of(host, stolen, encode_base64(public_bytes(recovery)))
        assert await keys.public_keys(tx, host.org) == stolen
        await keys.recover(tx, host.org, OWNER, recovery)
        rows = await tx.signing_keys.all(host.org)
        present = await keys.public_keys(tx, host.org)
        slots = followed(pinned, await keys.rotations(tx, host.org))
        await keys.rotate(tx, host.org, OWNER)
        later = followed(pinned, await keys.rotations(tx, host.org))
    assert [decode_base64(key) for key in slots.trust.signing_keys] == present
    assert all(slots.trust.is_revoked(fingerprint(key)) for key in stolen)
    assert decode_base64(later.trust.signing_keys[0]) == present[1]
    (kept,) = [row for row in rows if row.slot is KeySlot.RECOVERY]
    assert kept.sealed_private == ""


async def test_a_private_key_is_sealed_to_its_row_and_to_the_master_key(host: Host, tmp_path: Path) -> None:
    async with host.database.transaction() as tx:
        rows = await tx.signing_keys.all(host.org)
        await tx.signing_keys.update(replace(rows[0], sealed_private=rows[1].sealed_private))
        with pytest.raises(UnsealError):
            await host.built.keys.current_key(tx, host.org)
    other = AesSecretBox.from_file(tmp_path / "other.key")
    with pytest.raises(UnsealError):
        other.open(rows[0].sealed_private, f"signing-key:{host.org}:{rows[0].fingerprint}")


def test_the_master_key_is_made_once_and_for_its_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "master.key"
    sealed = AesSecretBox.from_file(path).seal(b"secret", "here")
    assert path.stat().st_mode & 0o777 == 0o600
    assert AesSecretBox.from_file(path).open(sealed, "here") == b"secret"
    assert b"secret" not in sealed.encode()
    assert [found.name for found in tmp_path.iterdir()] == ["master.key"]
    path.write_bytes(b"short")
    with pytest.raises(MasterKeyError, match="must be 32 bytes"):
        AesSecretBox.from_file(path)
    with pytest.raises(MasterKeyError, match="No such file"):
        AesSecretBox.from_file(tmp_path / "missing" / "master.key")


async def test_a_holding_pool_is_what_agents_pin_and_a_name_is_used_once(host: Host) -> None:
    pools = host.built.pools
    async with host.database.transaction() as tx:
        (pool,) = await pools.holding_pools(tx, host.org)
        (row,) = await tx.holding_pools.all(host.org)
        assert row.pool_hash == pool_hash(pool)
        assert pool.password == "x"
        assert row.sealed_password != "x"
        with pytest.raises(ConflictError, match="exists"):
            await pools.add(tx, host.org, OWNER, reference="holding", url=pool.url, worker="other", password="x")
        await pools.retire(tx, host.org, OWNER, "holding")
        assert await pools.holding_pools(tx, host.org) == []


@pytest.mark.parametrize(
    ("reference", "url", "worker"),
    [
        ("Bad Name", "stratum+tcp://a.example:1", "w"),
        ("ok", "http://a.example:1", "w"),
        ("ok", "stratum+tcp://a.example", "w"),
        ("ok", "stratum+tcp://a.example:1", ""),
    ],
)
async def test_a_holding_pool_that_cannot_be_is_refused(host: Host, reference: str, url: str, worker: str) -> None:
    with pytest.raises(MalformedError):
        async with host.database.transaction() as tx:
            await host.built.pools.add(
                tx, host.org, OWNER, reference=reference, url=url, worker=worker, password=""
            )


async def test_without_a_holding_pool_the_gate_is_shut_and_says_so(host: Host) -> None:
    async with host.database.transaction() as tx:
        await host.built.pools.retire(tx, host.org, OWNER, "holding")
    case = await host.to_redirect()
    assert await host.orders() == []
    async with host.database.reading() as tx:
        found = await host.built.defaults.situation(tx, case)
    assert {item.key for item in found.verdict.missing} == {ConditionKey.HOLDING_POOL}
