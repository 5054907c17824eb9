"""Sealing of what must not lie readable in the store."""

from typing import Protocol


class SecretBox(Protocol):
    """Authenticated encryption under the service's master key. `context` is bound, not stored."""

    def seal(self, secret: bytes, context: str) -> str:
        """Sealed text, safe to store."""
        ...

    def open(self, sealed: str, context: str) -> bytes:
        """The secret; raises `UnsealError` for another key, another context or a changed text."""
        ...
