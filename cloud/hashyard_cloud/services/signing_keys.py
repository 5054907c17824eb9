"""The organisations' signing keys: two slots that agents pin, so that rotation strands no site."""

from collections.abc import Sequence
from dataclasses import replace

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from hashyard_cloud.errors import ConflictError, ForbiddenError
from hashyard_cloud.services import activity
from hashyard_cloud.services.ports.activity import Actor
from hashyard_cloud.services.ports.database import Transaction
from hashyard_cloud.services.ports.secrets import SecretBox
from hashyard_cloud.services.ports.signing_keys import KeySlot, RotationRow, SigningKeyRow
from hashyard_shared.clock import Clock
from hashyard_shared.key_rotation import MAX_ROTATIONS, KeyRotation
from hashyard_shared.orders import next_sequence
from hashyard_shared.signing import (
    DocumentType,
    Envelope,
    decode_base64,
    encode_base64,
    fingerprint,
    grouped,
    new_private_key,
    public_bytes,
    sign,
)


class SigningKeys:
    """Makes, rotates and uses signing keys; implements `services.ports.agent_trust.Signer`."""

    def __init__(self, box: SecretBox, clock: Clock) -> None:
        self._box = box
        self._clock = clock

    async def sign(
        self, tx: Transaction, organisation_id: str, document: DocumentType, payload: bytes
    ) -> Envelope:
        """Sign with the current key."""
        return sign(await self.current_key(tx, organisation_id), document, payload)

    async def current_key(self, tx: Transaction, organisation_id: str) -> Ed25519PrivateKey:
        """The private half of the current key; for signing many orders in one transaction."""
        rows = await self.ensure(tx, organisation_id)
        secret = self._box.open(rows[0].sealed_private, _context(rows[0]))
        return Ed25519PrivateKey.from_private_bytes(secret)

    async def public_keys(self, tx: Transaction, organisation_id: str) -> list[bytes]:
        """Raw public halves that may be pinned: the current key, then the next."""
        return [decode_base64(row.public_key) for row in await self.ensure(tx, organisation_id)]

    async def ensure(self, tx: Transaction, organisation_id: str) -> list[SigningKeyRow]:
        """The current and the next key; made where they are missing."""
        in_use = {KeySlot.CURRENT, KeySlot.NEXT}
        rows = [row for row in await tx.signing_keys.all(organisation_id) if row.slot in in_use]
        for slot in (KeySlot.CURRENT, KeySlot.NEXT):
            if all(row.slot is not slot for row in rows):
                rows.append(await self._make(tx, organisation_id, slot))
        return rows

    async def rotate(
        self, tx: Transaction, organisation_id: str, actor: Actor, *, revoke: bool = False
    ) -> list[SigningKeyRow]:
        """The next key becomes current, the current one retires, and a new next key is made.

        The next key, which agents have pinned, signs the document that brings them the new one. `revoke` also has
        them refuse the retired key for ever.
        """
        current, following = (await self.ensure(tx, organisation_id))[:2]
        await self._retire(tx, current)
        await tx.signing_keys.update(replace(following, slot=KeySlot.CURRENT))
        rows = await self.ensure(tx, organisation_id)
        secret = self._box.open(following.sealed_private, _context(following))
        signer = Ed25519PrivateKey.from_private_bytes(secret)
        await self._announce(tx, rows, signer, [current] if revoke else [])
        text = f"Signing key {grouped(current.fingerprint)} retired, {grouped(following.fingerprint)} signs now"
        await self._note(tx, organisation_id, actor, "signing-key.rotated", text)
        return rows

    async def make_recovery_key(self, tx: Transaction, organisation_id: str, actor: Actor) -> Ed25519PrivateKey:
        """A recovery key whose private half is handed out here and kept nowhere. Errors: `ConflictError`."""
        if await self.recovery_key(tx, organisation_id) is not None:
            raise ConflictError("There is a recovery key already; sites have pinned it, so it cannot be replaced.")
        private = new_private_key()
        row = self._row(organisation_id, KeySlot.RECOVERY, private)
        await tx.signing_keys.add(row)
        text = f"Recovery key {grouped(row.fingerprint)} made; its private half is not kept here"
        await self._note(tx, organisation_id, actor, "signing-key.recovery-key", text)
        return private

    async def recovery_key(self, tx: Transaction, organisation_id: str) -> SigningKeyRow | None:
        """The public half of the recovery key, as far as there is one."""
        rows = await tx.signing_keys.all(organisation_id)
        return next((row for row in rows if row.slot is KeySlot.RECOVERY), None)

    async def recover(
        self, tx: Transaction, organisation_id: str, actor: Actor, recovery: Ed25519PrivateKey
    ) -> list[SigningKeyRow]:
        """Two new keys in place of both, which agents refuse from now on. Errors: `ForbiddenError`."""
        known = await self.recovery_key(tx, organisation_id)
        if known is None or known.fingerprint != fingerprint(public_bytes(recovery)):
            raise ForbiddenError("This is not the private half of the recovery key that sites have pinned.")
        old = (await self.ensure(tx, organisation_id))[:2]
        for row in old:
            await self._retire(tx, row)
        rows = await self.ensure(tx, organisation_id)
        await self._announce(tx, rows, recovery, old)
        shown = " and ".join(grouped(row.fingerprint) for row in old)
        text = f"Signing keys {shown} replaced by the recovery key; {grouped(rows[0].fingerprint)} signs now"
        await self._note(tx, organisation_id, actor, "signing-key.recovered", text)
        return rows

    async def rotations(self, tx: Transaction, organisation_id: str) -> list[Envelope]:
        """What agents follow from the keys that they pinned to the present ones."""
        rows = await tx.signing_keys.rotations(organisation_id, MAX_ROTATIONS)
        return [Envelope.model_validate_json(row.envelope) for row in rows]

    async def _announce(
        self,
        tx: Transaction,
        rows: Sequence[SigningKeyRow],
        signer: Ed25519PrivateKey,
        revoked: Sequence[SigningKeyRow],
    ) -> None:
        organisation_id, now_us = rows[0].organisation_id, self._clock.now_us()
        last = await tx.signing_keys.rotations(organisation_id, 1)
        rotation = KeyRotation(
            organisation_id=organisation_id,
            sequence=next_sequence(last[0].sequence if last else 0, now_us),
            signing_keys=(rows[0].public_key, rows[1].public_key),
            revoked_keys=tuple(row.fingerprint for row in revoked),
            issued_at_us=now_us,
        )
        envelope = rotation.signed(signer).model_dump_json()
        await tx.signing_keys.add_rotation(
            RotationRow(
                organisation_id=organisation_id, sequence=rotation.sequence, envelope=envelope, made_us=now_us
            )
        )
        await tx.desired.bump_all(organisation_id)

    async def _retire(self, tx: Transaction, row: SigningKeyRow) -> None:
        await tx.signing_keys.update(replace(row, slot=KeySlot.RETIRED, retired_us=self._clock.now_us()))

    async def _note(self, tx: Transaction, organisation_id: str, actor: Actor, action: str, text: str) -> None:
        await activity.record(tx, self._clock.now_us(), organisation_id, actor, action, text)

    async def _make(self, tx: Transaction, organisation_id: str, slot: KeySlot) -> SigningKeyRow:
        private = new_private_key()
        row = self._row(organisation_id, slot, private)
        row = replace(row, sealed_private=self._box.seal(private.private_bytes_raw(), _context(row)))
        await tx.signing_keys.add(row)
        return row

    def _row(self, organisation_id: str, slot: KeySlot, private: Ed25519PrivateKey) -> SigningKeyRow:
        public = public_bytes(private)
        return SigningKeyRow(
            organisation_id=organisation_id,
            fingerprint=fingerprint(public),
            slot=slot,
            public_key=encode_base64(public),
            sealed_private="",
            created_us=self._clock.now_us(),
            retired_us=None,
        )


def _context(row: SigningKeyRow) -> str:
    return f"signing-key:{row.organisation_id}:{row.fingerprint}"
