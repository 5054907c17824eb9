"""The organisations' signing keys: two slots that agents pin, so that rotation strands no site."""

from dataclasses import replace

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from hashyard_cloud.services import activity
from hashyard_cloud.services.ports.activity import Actor
from hashyard_cloud.services.ports.database import Transaction
from hashyard_cloud.services.ports.secrets import SecretBox
from hashyard_cloud.services.ports.signing_keys import KeySlot, SigningKeyRow
from hashyard_shared.clock import Clock
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
        rows = [row for row in await tx.signing_keys.all(organisation_id) if row.slot is not KeySlot.RETIRED]
        for slot in (KeySlot.CURRENT, KeySlot.NEXT):
            if all(row.slot is not slot for row in rows):
                rows.append(await self._make(tx, organisation_id, slot))
        return rows

    async def rotate(self, tx: Transaction, organisation_id: str, actor: Actor) -> list[SigningKeyRow]:
        """The next key becomes current, the current one retires, and a new next key is made."""
        now_us = self._clock.now_us()
        current, following = (await self.ensure(tx, organisation_id))[:2]
        await tx.signing_keys.update(replace(current, slot=KeySlot.RETIRED, retired_us=now_us))
        await tx.signing_keys.update(replace(following, slot=KeySlot.CURRENT))
        text = f"Signing key {grouped(current.fingerprint)} retired, {grouped(following.fingerprint)} signs now"
        await activity.record(tx, now_us, organisation_id, actor, "signing-key.rotated", text)
        await tx.desired.bump_all(organisation_id)
        return await self.ensure(tx, organisation_id)

    async def _make(self, tx: Transaction, organisation_id: str, slot: KeySlot) -> SigningKeyRow:
        private = new_private_key()
        public = public_bytes(private)
        row = SigningKeyRow(
            organisation_id=organisation_id,
            fingerprint=fingerprint(public),
            slot=slot,
            public_key=encode_base64(public),
            sealed_private="",
            created_us=self._clock.now_us(),
            retired_us=None,
        )
        row = replace(row, sealed_private=self._box.seal(private.private_bytes_raw(), _context(row)))
        await tx.signing_keys.add(row)
        return row


def _context(row: SigningKeyRow) -> str:
    return f"signing-key:{row.organisation_id}:{row.fingerprint}"
