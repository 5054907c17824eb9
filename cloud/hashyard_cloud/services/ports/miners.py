"""Devices as reported, and their newest reading."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from hashyard_cloud.services.ports.agents import AgentRow
from hashyard_shared.telemetry import MinerState, RosterEntry


@dataclass(frozen=True, slots=True, kw_only=True)
class MinerRow:
    """A device that an agent found. `details` is the JSON of the newest `events.MinerDetails`."""

    miner_no: int
    organisation_id: str
    miner_id: str
    agent_id: str
    site_id: str
    mac: str | None
    serial: str | None
    ip: str
    family: str
    make: str
    model: str
    firmware: str
    expected_hashrate_ths: float | None
    writable: bool
    first_seen_us: int
    changed_at_us: int
    details: str | None
    details_at_us: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LatestRow:
    """A device's newest reading. None is "not seen"; `interval_ms` is how often it is read."""

    at_us: int
    interval_ms: int
    state: MinerState
    hashrate_ths: float | None
    power_w: int | None
    temp_chip_c: int | None
    temp_board_c: int | None
    fan_rpm: int | None
    uptime_s: int | None
    shares_accepted: int | None
    shares_rejected: int | None
    pool_url: str | None
    pool_worker: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenMiner:
    """A device with its newest reading, None before the first."""

    miner: MinerRow
    latest: LatestRow | None


LatestValues = tuple[int, int, int, int, *tuple[int | None, ...]]
"""One device's reading as stored: miner_no, at_us, interval_ms, state, then the measured columns and pool_no."""


class MinersStore(Protocol):
    """Devices of an organisation."""

    async def upsert(self, agent: AgentRow, entries: Sequence[RosterEntry], at_us: int) -> list[int]:
        """Record these identities; answers their numbers in the same order."""
        ...

    async def seen(
        self,
        organisation_id: str,
        *,
        site_id: str | None = None,
        miner_ids: Sequence[str] | None = None,
        macs: Sequence[str] | None = None,
    ) -> list[SeenMiner]:
        """Devices with their newest reading, by miner_id; narrowed by what is given."""
        ...

    async def get(self, organisation_id: str, miner_id: str) -> SeenMiner | None: ...

    async def numbers(self, organisation_id: str, miner_ids: Sequence[str]) -> dict[str, int]:
        """The internal numbers by miner_id, of those that exist."""
        ...

    async def set_details(self, organisation_id: str, miner_id: str, at_us: int, details: str) -> None:
        """Keep the newest details."""
        ...

    async def pool_numbers(self, pools: Sequence[tuple[str, str, str]]) -> dict[tuple[str, str, str], int]:
        """Numbers by (organisation_id, url, worker); new pools get one."""
        ...

    async def known_pools(self, organisation_id: str) -> Mapping[int, tuple[str, str]]:
        """(url, worker) by number."""
        ...

    async def put_latest(self, rows: Sequence[LatestValues]) -> None:
        """Replace older readings; a later one that is stored already stays."""
        ...
