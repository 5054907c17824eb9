"""What pages show of units: the billed asset, its owner and its newest reading in one row. Read only."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Protocol

STALE_INTERVALS: Final = 3
STALE_FLOOR_S: Final = 90
"""A reading older than three of its intervals, and at least this old, is no longer what is the case now."""
DEGRADED_BELOW: Final = 0.9
"""A unit below this share of its expected hashrate is degraded, whatever it says of itself."""


class Health(StrEnum):
    """What can be said of a unit now. `stale` means nobody could look, `unseen` that nobody ever did."""

    ONLINE = "online"
    DEGRADED = "degraded"
    STOPPED = "stopped"
    MISREAD = "misread"
    UNIDENTIFIED = "unidentified"
    UNREACHABLE = "unreachable"
    STALE = "stale"
    UNSEEN = "unseen"


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitView:
    """A unit as pages show it. Readings are None where they were not seen, or are stale."""

    unit_id: str
    label: str
    position: str
    serial: str
    mac: str | None
    model: str
    lifecycle: str
    site_id: str
    site_name: str
    timezone: str
    customer_id: str | None
    customer_name: str | None
    contract_id: str | None
    contract_number: str | None
    expected_hashrate_ths: float | None
    nameplate_w: int | None
    state_since_us: int
    miner_no: int | None
    miner_id: str | None
    ip: str | None
    firmware: str | None
    health: Health
    at_us: int | None
    hashrate_ths: float | None
    power_w: int | None
    temp_chip_c: int | None
    fan_rpm: int | None
    uptime_s: int | None
    shares_accepted: int | None
    shares_rejected: int | None
    pool_url: str | None
    pool_worker: str | None
    at_pool_us: int | None

    @property
    def lost_ths(self) -> float:
        """How far below what is expected of it."""
        return max(0.0, (self.expected_hashrate_ths or 0.0) - (self.hashrate_ths or 0.0))


class UnitSort(StrEnum):
    """Columns that unit lists can be sorted by; `attention` is by lost hashrate."""

    ATTENTION = "attention"
    LABEL = "label"
    MODEL = "model"
    CUSTOMER = "customer"
    SITE = "site"
    HASHRATE = "hashrate"
    TEMPERATURE = "temperature"
    STATE = "state"


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitFilter:
    """Which units, in which order. `search` matches label, position, serial, MAC, model and owner."""

    site_id: str | None = None
    customer_id: str | None = None
    contract_id: str | None = None
    lifecycle: str | None = None
    model: str | None = None
    health: Health | None = None
    below_expected: bool = False
    assigned: bool | None = None
    assignable: bool = False
    search: str = ""
    sort: UnitSort = UnitSort.LABEL
    descending: bool = False
    limit: int = 50
    offset: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """Sums over units. `power_w` and `hashrate_ths` count what is seen now only, `known` of how many units."""

    units: int = 0
    known: int = 0
    online: int = 0
    degraded: int = 0
    stopped: int = 0
    unreachable: int = 0
    unseen: int = 0
    hashrate_ths: float = 0.0
    expected_ths: float = 0.0
    power_w: int = 0
    at_pool: int = 0
    at_pool_ths: float = 0.0
    newest_us: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundMiner:
    """A device that was found and is bound to no unit."""

    miner_no: int
    miner_id: str
    site_id: str
    site_name: str
    mac: str | None
    serial: str | None
    ip: str
    make: str
    model: str
    firmware: str
    expected_hashrate_ths: float | None
    first_seen_us: int
    health: Health
    hashrate_ths: float | None
    at_us: int | None


class TotalsBy(StrEnum):
    """What totals are grouped by."""

    SITE = "site"
    CUSTOMER = "customer"
    CONTRACT = "contract"


class FleetStore(Protocol):
    """Reads across equipment, owners and readings, at list speed."""

    async def units(self, organisation_id: str, wanted: UnitFilter, now_us: int) -> tuple[list[UnitView], int]:
        """One page, and how many there are in all."""
        ...

    async def unit(self, organisation_id: str, unit_id: str, now_us: int) -> UnitView | None: ...

    async def unit_ids(self, organisation_id: str, wanted: UnitFilter, now_us: int) -> list[str]:
        """All that match, whatever the page."""
        ...

    async def totals(
        self, organisation_id: str, by: TotalsBy, now_us: int, only: str | None = None
    ) -> dict[str, Totals]:
        """Units that are not retired; by site all, by customer or contract those that are assigned.

        With `only`, of this one site, customer or contract.
        """
        ...

    async def counts(self, organisation_id: str, site_id: str | None = None) -> dict[str, int]:
        """How many units in each state of life."""
        ...

    async def models(self, organisation_id: str) -> list[str]:
        """The models of all units, by name."""
        ...

    async def sites_of_customers(self, organisation_id: str) -> dict[str, list[str]]:
        """The names of the sites where each customer has units."""
        ...

    async def miner_nos(
        self, organisation_id: str, *, site_id: str | None = None, customer_id: str | None = None
    ) -> list[int]:
        """Device numbers behind units, for charts."""
        ...

    async def found(
        self, organisation_id: str, now_us: int, *, site_id: str | None, search: str, limit: int, offset: int
    ) -> tuple[list[FoundMiner], int]:
        """Devices that are not registered, newest first, and how many there are in all."""
        ...
