"""An enforcer over a simulated site in this process: real wire, real SQLite, the simulator as the oracle."""

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, TypeVar

from hashyard_agent.adapters.credentials import Credential
from hashyard_agent.adapters.enforcement_store import SqliteEnforcementStore
from hashyard_agent.adapters.site_trust import StopFile, TrustFiles
from hashyard_agent.adapters.writers import pool_writers
from hashyard_agent.enforcement.enforcer import Enforcer
from hashyard_agent.enforcement.model import AgentFacts, EnforcementPolicy, UnitRow
from hashyard_agent.locks import MinerLocks
from hashyard_agent.ports import Identity, PoolWriter
from hashyard_agent.trust import RecordedCustomer, RecordedPool, RecordedPools, Trust
from hashyard_shared.clock import SystemClock
from hashyard_shared.events import Event
from hashyard_shared.ids import new_id
from hashyard_shared.orders import Order, OrderKind, ReasonCode
from hashyard_shared.protocol import BatchKind, CloudTime, SiteSettings, UnitBinding
from hashyard_shared.signing import (
    DocumentType,
    Envelope,
    encode_base64,
    fingerprint,
    new_private_key,
    public_bytes,
    sign,
)
from hashyard_shared.trust import HoldingPool, pool_hash
from hashyard_simulator.device import Device
from hashyard_simulator.farm import Farm
from hashyard_simulator.faults import FaultKind
from hashyard_simulator.spec import FarmSpec, MinerGroup, PoolSpec, SiteSpec

FAMILIES: Final[dict[str, str]] = {
    "antminer-s19": "antminer-stock",
    "whatsminer-v2": "whatsminer-v2",
    "luxos": "luxos",
    "vnish": "vnish",
    "bitaxe": "bitaxe",
    "antminer-old": "antminer-old",
    "whatsminer-v3": "whatsminer-v3",
    "braiins": "braiins-os",
    "cgminer": "cgminer",
}
"""The simulator's name of a family -> the profile's."""

HOLDING: Final = HoldingPool(
    reference="main", url="stratum+tcp://holding.example:3333", worker="host.{unit}", password="hold"
)
AGENT_ID: Final = "agent-1"
ORGANISATION_ID: Final = "org-1"
SITE_ID: Final = "site-1"
CUSTOMER_ID: Final = "cust-1"
E = TypeVar("E")
HOUR_US: Final = 3_600 * 1_000_000

QUICK: Final = EnforcementPolicy(
    daily_cap_units=10_000,
    units_per_minute=100_000,
    watts_per_minute=1e9,
    call_timeout_s=3,
    write_timeout_s=3,
    readback_timeout_s=0.6,
    activate_timeout_s=3,
    shares_timeout_s=3,
    confirm_interval_s=0.05,
    offline_retry_s=0.1,
    retry_first_s=0.05,
    retry_max_s=0.3,
    canary_wait_s=5,
    drift_check_interval_s=0.2,
)
"""The policy of a site whose miners restart within a fraction of a second."""


def random_subnet() -> str:
    """Thirty addresses of the range that is kept for these tests, so that runs beside each other do not meet."""
    return f"127.30.{random.randrange(64, 200)}.{32 * random.randrange(1, 7)}/27"


@asynccontextmanager
async def farm_of(
    families: Mapping[str, int],
    *,
    subnet: str | None = None,
    pools: Sequence[PoolSpec] | None = None,
    share_seconds: float = 0.02,
    restart_seconds: float = 0.2,
) -> AsyncIterator[Farm]:
    """A running farm with so many miners of each of the simulator's families."""
    groups = tuple(MinerGroup(family=family, count=count) for family, count in families.items())
    site = SiteSpec.model_validate({"name": "test", "subnet": subnet or random_subnet(), "miners": groups})
    if pools is not None:
        site = site.model_copy(update={"pools": tuple(pools)})
    spec = FarmSpec(sites=(site,), share_seconds=share_seconds, restart_seconds=restart_seconds)
    async with Farm(spec) as farm:
        yield farm


def identity_of(device: Device) -> Identity:
    """The device as discovery would know it."""
    return Identity(
        ip=device.identity.ip,
        mac=device.identity.mac,
        serial=device.identity.serial,
        family=FAMILIES[device.family],
        make="",
        model=device.model.name,
        firmware=device.model.firmware,
    )


class FactoryLogins:
    """The factory credentials of the simulated families."""

    def for_miner(self, identity: Identity) -> list[Credential]:
        account = {"whatsminer-v2": "admin", "vnish": "admin", "whatsminer-v3": "super"}.get(
            identity.family, "root"
        )
        return [Credential(account, account)]


def writers_for(farm: Farm) -> dict[str, PoolWriter]:
    """All writers; loopback has no link-layer table, so the farm tells the MACs that the link would."""
    return pool_writers(
        FactoryLogins(), lambda ip: next((d.identity.mac for d in farm.devices if d.identity.ip == ip), None)
    )


@dataclass
class FarmLocator:
    """Where the farm's devices are, as an up-to-date discovery would tell."""

    farm: Farm
    duplicates: set[str] = field(default_factory=set)
    unseen: set[str] = field(default_factory=set)
    stale: dict[str, Identity] = field(default_factory=dict)

    def locate(self, mac: str) -> Identity | None:
        if mac in self.stale:
            return self.stale[mac]
        if mac in self.unseen:
            return None
        return next((identity_of(d) for d in self.farm.devices if d.identity.mac == mac), None)

    def duplicated(self, mac: str) -> bool:
        return mac in self.duplicates

    def power_w(self, mac: str) -> int | None:
        return next((d.model.power_w for d in self.farm.devices if d.identity.mac == mac), None)


class ListOutbox:
    """The outbox as a list."""

    def __init__(self) -> None:
        self.sent: list[Event] = []

    def put(self, kind: BatchKind, cycle_at_us: int, count: int, body: bytes) -> int:
        return 0

    def put_events(self, events: Sequence[Event]) -> int:
        self.sent.extend(events)
        return len(self.sent)


class Site:
    """One enforced site: farm, trust, store, enforcer. `unit_ids` are in the order of the farm's devices."""

    def __init__(self, farm: Farm, folder: Path, policy: EnforcementPolicy = QUICK) -> None:
        self.farm = farm
        self.folder = folder
        self.policy = policy
        self.clock = SystemClock()
        self.key = new_private_key()
        self.agent_key = fingerprint(public_bytes(new_private_key()))
        self.locator = FarmLocator(farm)
        self.outbox = ListOutbox()
        self.stop = StopFile(folder / "EMERGENCY-STOP")
        self.trust_path = folder / "trust.json"
        self.recorded_path = folder / "recorded.json"
        self.pin(
            Trust(
                organisation_id=ORGANISATION_ID,
                site_id=SITE_ID,
                signing_keys=(encode_base64(public_bytes(self.key)),),
                holding_pools=(HOLDING,),
            )
        )
        self.settings = SiteSettings()
        self.epoch = 1
        self.macs = [device.identity.mac for device in farm.devices]
        self.unit_ids = [f"unit-{number}" for number in range(len(self.macs))]
        self.customers = dict.fromkeys(self.unit_ids, CUSTOMER_ID)
        self.orders: dict[str, Envelope] = {}
        self.sequence = 1000
        self.enforcer: Enforcer | None = None

    # -- what is pinned and recorded on site -----------------------------------------------------

    def pin(self, trust: Trust) -> None:
        self.trust_path.write_text(trust.model_dump_json())
        self.trust_path.chmod(0o644)

    def trust(self) -> Trust:
        return Trust.model_validate_json(self.trust_path.read_text())

    def record(
        self, *pools: RecordedPool, customer_id: str = CUSTOMER_ID, assigned_at_us: int | None = None
    ) -> None:
        entry = RecordedCustomer(
            customer_id=customer_id,
            pools=pools,
            recorded_at_us=self.clock.now_us(),
            recorded_by="test",
            assigned_at_us=assigned_at_us,
        )
        self.recorded_path.write_text(RecordedPools(customers=(entry,)).model_dump_json())
        self.recorded_path.chmod(0o600)

    def record_all(self) -> None:
        """Record the pools that the farm's miners have, so that no password is unknown."""
        known = {
            (p.url, p.user.partition(".")[0], p.password) for d in self.farm.devices for p in d.pools if p.url
        }
        self.record(*(RecordedPool(url=u, worker=f"{w}.{{unit}}", password=p) for u, w, p in sorted(known)))

    # -- orders ----------------------------------------------------------------------------------

    def bindings(self) -> list[UnitBinding]:
        return [
            UnitBinding(unit_id=unit, label=f"R{number}", mac=mac, customer_id=self.customers[unit])
            for number, (unit, mac) in enumerate(zip(self.unit_ids, self.macs, strict=True))
        ]

    def order(self, unit: str, kind: OrderKind, **changes: Any) -> Order:
        """A valid order for a unit; `changes` bend it."""
        self.sequence += 1
        now_us = self.clock.now_us()
        redirect = kind is OrderKind.REDIRECT
        fields: dict[str, Any] = {
            "order_id": new_id(now_us),
            "organisation_id": ORGANISATION_ID,
            "site_id": SITE_ID,
            "agent_id": AGENT_ID,
            "agent_key": self.agent_key,
            "epoch": self.epoch,
            "unit_id": unit,
            "customer_id": self.customers.get(unit, CUSTOMER_ID),
            "case_id": "case-1",
            "mac": self.macs[self.unit_ids.index(unit)] if unit in self.unit_ids else "02:00:00:00:00:01",
            "kind": kind,
            "reason": ReasonCode.DEFAULT_UNCURED if redirect else ReasonCode.DEBT_PAID,
            "holding_pool": HOLDING.reference if redirect else None,
            "holding_pool_hash": pool_hash(HOLDING) if redirect else None,
            "sequence": self.sequence,
            "issued_at_us": now_us,
            "not_before_us": now_us - 1,
            "expires_at_us": now_us + 72 * HOUR_US if redirect else None,
        }
        return Order.model_validate(fields | changes)

    def command(self, kind: OrderKind, units: Sequence[str] | None = None, **changes: Any) -> None:
        """Sign an order for each of these units (all by default) and offer the whole desired state."""
        for unit in self.unit_ids if units is None else units:
            self.orders[unit] = self.order(unit, kind, **changes).signed(self.key)
        self.offer()

    def offer(self) -> None:
        assert self.enforcer is not None
        self.enforcer.offer(list(self.orders.values()), self.bindings(), self.settings)

    def local(self, kind: str, **arguments: Any) -> int:
        """Leave a technician's command in the store, as the command line does; returns its number."""
        store = SqliteEnforcementStore(self.folder / "enforcement.db", owner=False)
        try:
            return store.add_command(self.clock.now_us(), "technician", kind, arguments)
        finally:
            store.close()

    async def answered(self, number: int) -> str:
        """What the technician is told; the caller's timeout bounds the wait."""
        store = SqliteEnforcementStore(self.folder / "enforcement.db", owner=False)
        try:
            while True:
                result = store.command_result(number)
                if result is not None:
                    return result
                await asyncio.sleep(0.02)
        finally:
            store.close()

    def hear_time(self, ahead_us: int = 0) -> None:
        """The cloud's signed time arrives."""
        assert self.enforcer is not None
        time = CloudTime(agent_id=AGENT_ID, at_us=self.clock.now_us() + ahead_us)
        assert self.enforcer.cloud_time_seen(sign(self.key, DocumentType.TIME, time.model_dump_json().encode()))

    # -- running ---------------------------------------------------------------------------------

    @asynccontextmanager
    async def running(self, *, boot_id: str = "boot-1", time: bool = True) -> AsyncIterator["Site"]:
        """The enforcer runs; ended as by a stop of the service."""
        store = self.open_store()
        try:
            self.enforcer = Enforcer(
                agent=AgentFacts(AGENT_ID, lambda: self.agent_key, ORGANISATION_ID, SITE_ID, lambda: self.epoch),
                policy=self.policy,
                writers=writers_for(self.farm),
                locator=self.locator,
                locks=MinerLocks(),
                trust=TrustFiles(self.trust_path, self.recorded_path),
                stop_switch=self.stop,
                store=store,
                outbox=self.outbox,
                clock=self.clock,
                boot_id=boot_id,
            )
            if time:
                self.hear_time()
            task = asyncio.create_task(self.enforcer.run())
            try:
                yield self
            finally:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
                if not task.cancelled() and task.exception() is not None:
                    raise RuntimeError("the enforcer ended by itself") from task.exception()
        finally:
            store.close()

    def open_store(self) -> SqliteEnforcementStore:
        return SqliteEnforcementStore(self.folder / "enforcement.db")

    def row(self, unit: str) -> UnitRow | None:
        assert self.enforcer is not None
        return next((row for row in self.enforcer.units() if row.unit_id == unit), None)

    async def until(self, holds: Callable[[UnitRow], bool], *, units: Sequence[str] | None = None) -> None:
        """Wait until this holds for each of these units (all by default); the caller's timeout bounds it."""
        wanted = self.unit_ids if units is None else units
        while True:
            rows = [self.row(unit) for unit in wanted]
            if all(row is not None and holds(row) for row in rows):
                return
            await asyncio.sleep(0.02)

    async def event(self, kind: type[E]) -> E:
        """The first event of this kind that reached the outbox; the caller's timeout bounds the wait."""
        while True:
            for event in self.outbox.sent:
                if isinstance(event, kind):
                    return event
            await asyncio.sleep(0.02)

    async def inject(self, index: int, kind: str, **params: Any) -> None:
        await self.farm.inject(self.farm.devices[index].identity.ip, FaultKind(kind), params)

    async def heal(self, index: int) -> None:
        await self.farm.clear_faults(self.farm.devices[index].identity.ip)

    def policy_with(self, **changes: Any) -> None:
        """Bend the policy before the enforcer starts."""
        self.policy = replace(self.policy, **changes)


def true_pools(device: Device) -> list[tuple[str, str, str]]:
    """URL, worker and password of each slot in use, in the order the miner prefers them."""
    staged = device.pools if device.staged_pools is None else device.staged_pools
    ordered = sorted(staged, key=lambda pool: pool.priority)
    return [(pool.url, pool.user, pool.password) for pool in ordered if pool.url]
