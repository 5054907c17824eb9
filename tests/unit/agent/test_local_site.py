"""What the technician's page knows: who is found, whose it is, and which miners need a hand, the worst first."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pytest

from hashyard_agent.backlog import OutboxStats, Settled
from hashyard_agent.errors import MinerConnectionError
from hashyard_agent.fleet import Fleet, KnownMiner
from hashyard_agent.identity import AgentIdentity
from hashyard_agent.link_state import LinkMonitor
from hashyard_agent.local_site import LocalSiteView
from hashyard_agent.local_web.state import Redirects
from hashyard_agent.polling import Seen
from hashyard_agent.ports import Identity, Reading, StoredBatch
from hashyard_shared.clock import SystemClock
from hashyard_shared.errors import ErrorCode
from hashyard_shared.protocol import BatchesAnswer, DesiredState, SiteSettings, UnitBinding
from hashyard_shared.signing import Envelope
from hashyard_shared.telemetry import MinerState

STATES = (MinerState.ONLINE, MinerState.DEGRADED, MinerState.UNREACHABLE, MinerState.ONLINE)


@dataclass
class Done:
    done: bool = True
    detail: str = "light on"
    code: ErrorCode | None = None


@dataclass
class Site:
    """Everything the view asks, in one place."""

    stops: list[str] = field(default_factory=list)
    lit: list[str] = field(default_factory=list)
    reason: str | None = None
    shadow_mode: bool = False
    values: dict[str, str] = field(default_factory=dict)

    def latest(self) -> Mapping[str, Seen]:
        hot = {3: 97.0}
        readings = [Reading(state, temp_chip_c=hot.get(at, 60.0)) for at, state in enumerate(STATES)]
        return {f"mac:{mac(at)}": Seen(reading, 1) for at, reading in enumerate(readings)}

    @property
    def current(self) -> DesiredState:
        units = [UnitBinding(unit_id=str(at), label=f"PN-{at}", mac=mac(at)) for at in (1, 2)]
        time = Envelope(key="k", payload="", signature="")
        return DesiredState(version=1, site_id="s", settings=SiteSettings(), units=units, orders=[], time=time)

    def redirects(self) -> Redirects:
        return Redirects(redirected=1, units=2)

    def stop_reason(self) -> str | None:
        return self.reason

    def emergency_stop(self, reason: str, actor: str) -> None:
        self.stops.append(f"{reason}/{actor}")

    async def lights(self, miners: Sequence[Identity], *, on: bool) -> Sequence[Done]:
        self.lit += [miner.ip for miner in miners]
        return [Done()]

    async def reboot(self, miners: Sequence[Identity]) -> Sequence[Done]:
        raise AssertionError("the page restarts nothing")

    def state(self, key: str) -> str | None:
        return self.values.get(key)

    def set_state(self, key: str, value: str) -> None:
        self.values[key] = value

    def stats(self) -> OutboxStats:
        hour_us = 3_600_000_000
        return OutboxStats(2, 0, 2, 1_000, 50_000, 100_000, 0, hour_us, 0, 0, 0, 1)

    def pending(self, max_rows: int, max_bytes: int) -> list[StoredBatch]:
        return []

    def settle(self, batches: Sequence[StoredBatch], answer: BatchesAnswer) -> Settled:
        return Settled()

    def set_aside(self, batch: StoredBatch, reason: str) -> None: ...

    def seal_gaps(self) -> int:
        return 0

    def send_roster_again(self, roster_id: str) -> bool:
        return False


def mac(at: int) -> str:
    return f"02:00:00:00:00:0{at}"


@pytest.fixture
def site() -> Site:
    return Site()


@pytest.fixture
def view(site: Site) -> LocalSiteView:
    miners = [
        KnownMiner(Identity(f"10.0.0.{at}", mac(at), None, "luxos", "AntMiner", "S19", "1")) for at in range(4)
    ]
    identity = AgentIdentity(
        agent_id="a",
        name="pn-01",
        organisation_id="o",
        organisation_name="O",
        site_id="s",
        site_name="North",
        timezone="UTC",
        epoch=1,
        key_fingerprint="0" * 32,
        cloud_url="",
        enrolled_at_us=0,
    )
    clock = SystemClock()
    return LocalSiteView(
        identity=identity,
        fleet=Fleet(miners),
        poller=site,
        commands=site,
        feed=site,
        monitor=LinkMonitor(site, clock),
        backlog=site,
        enforcement=site,
        clock=clock,
        notes=lambda: ["a note"],
    )


def test_the_worst_come_first_under_the_hosts_own_labels(view: LocalSiteView) -> None:
    state = view.state()
    assert (state.found, state.adopted) == (4, 2)
    assert [(miner.label, miner.icon) for miner in state.failing] == [
        ("AntMiner S19", "hot"),
        ("PN-2", "unplugged"),
        ("PN-1", "alert"),
    ]
    assert state.failing[0].advice.startswith("Chip at 97 °C")
    assert "check cable" in state.failing[1].advice
    assert state.bytes_per_day == 24_000
    assert (state.stopped, list(state.notes)) == (False, ["a note"])


def test_the_stop_says_where_it_came_from(view: LocalSiteView, site: Site) -> None:
    view.emergency_stop("smoke")
    site.reason = ""
    assert site.stops == ["smoke/local page"]
    assert view.state().stopped


async def test_lights_go_through_the_paced_commands(view: LocalSiteView, site: Site) -> None:
    assert await view.led(f"mac:{mac(1)}", on=True) == "10.0.0.1: light on"
    assert site.lit == ["10.0.0.1"]
    with pytest.raises(MinerConnectionError):
        await view.led("mac:unknown", on=True)
