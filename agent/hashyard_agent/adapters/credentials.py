"""Miner credentials: the site's file first, the factory ones after it."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Credential:
    """How to log in to a miner. The password never shows in a repr, a log or on the wire."""

    username: str
    password: str = field(repr=False)
