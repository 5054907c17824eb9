"""The organisations' Ed25519 keys that sign orders and cloud time."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol


class KeySlot(StrEnum):
    """Agents pin the current key and the next one, so that rotation strands no site."""

    CURRENT = "current"
    NEXT = "next"
    RETIRED = "retired"
    RECOVERY = "recovery"
    """Only its public half is here; the private one is kept offline."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SigningKeyRow:
    """A key. `public_key` is base64 of the raw 32 bytes; `sealed_private` is sealed under the master key."""

    organisation_id: str
    fingerprint: str
    slot: KeySlot
    public_key: str
    sealed_private: str
    created_us: int
    retired_us: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RotationRow:
    """A signed rotation (`hashyard_shared.key_rotation`), as agents get it; `envelope` is JSON."""

    organisation_id: str
    sequence: int
    envelope: str
    made_us: int


class SigningKeysStore(Protocol):
    """Read and write signing keys."""

    async def add(self, row: SigningKeyRow) -> None: ...

    async def all(self, organisation_id: str) -> list[SigningKeyRow]:
        """Current, then next, then retired."""
        ...

    async def update(self, row: SigningKeyRow) -> None: ...

    async def add_rotation(self, row: RotationRow) -> None: ...

    async def rotations(self, organisation_id: str, limit: int) -> list[RotationRow]:
        """The newest ones, oldest of them first."""
        ...
