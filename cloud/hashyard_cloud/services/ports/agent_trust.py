"""What the agent's interface needs of keys, pools and orders."""

from typing import Protocol

from hashyard_cloud.services.ports.database import Transaction
from hashyard_cloud.services.ports.signing_keys import SigningKeyRow
from hashyard_shared.protocol import Task
from hashyard_shared.signing import DocumentType, Envelope
from hashyard_shared.trust import HoldingPool


class Signer(Protocol):
    """Signs with the organisation's active key, which is encrypted at rest."""

    async def sign(
        self, tx: Transaction, organisation_id: str, document: DocumentType, payload: bytes
    ) -> Envelope: ...

    async def public_keys(self, tx: Transaction, organisation_id: str) -> list[bytes]:
        """Raw public keys that agents may pin; the active one first."""
        ...

    async def recovery_key(self, tx: Transaction, organisation_id: str) -> SigningKeyRow | None:
        """The offline key that agents may pin."""
        ...

    async def rotations(self, tx: Transaction, organisation_id: str) -> list[Envelope]:
        """Signed rotations of the keys, oldest first."""
        ...


class HoldingPools(Protocol):
    """The pools that a technician may pin."""

    async def holding_pools(self, tx: Transaction, organisation_id: str) -> list[HoldingPool]: ...


class CurrentOrders(Protocol):
    """What is ordered of a site's units now."""

    async def current_orders(self, tx: Transaction, organisation_id: str, site_id: str) -> list[Envelope]:
        """The newest order of each unit, while it matters."""
        ...

    async def tasks(self, tx: Transaction, organisation_id: str, site_id: str) -> list[Task]:
        """Open commands: LED, reboot."""
        ...
