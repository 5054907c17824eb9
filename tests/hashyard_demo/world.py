"""Describes a small hosting business and starts it: simulator, cloud, one agent a site.

Everything lives in one folder: settings, databases, logs. Starting again in the same folder continues.
"""

import contextlib
import json
import sys
import tomllib
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from hashyard_demo.processes import Program, run, wait_until

READY_TIMEOUT_S: Final = 60
CUSTOMER_POOLS: Final = (
    "stratum+tcp://pool-a.example:3333",
    "stratum+tcp://pool-b.example:3333",
    "stratum+tcp://pool-c.example:25",
)
CUSTOMER_POOL_PASSWORD: Final = "x"
HTTP_TIMEOUT_S: Final = 10
MAX_PER_SITE: Final = 500
MAIL_PORT_OFFSET: Final = 5


@dataclass(frozen=True, slots=True)
class Fleet:
    """Some miners of one family at one site, for one customer."""

    customer: str
    family: str
    count: int


@dataclass(frozen=True, slots=True)
class SitePlan:
    """A site: its network and what stands there."""

    name: str
    code: str
    region: str
    timezone: str
    subnet: str
    local_port: int
    fleets: tuple[Fleet, ...]

    @property
    def slug(self) -> str:
        """The site's name as a file name."""
        return self.name.lower().replace(" ", "-")


@dataclass(frozen=True, slots=True)
class Waits:
    """Every wait of the story, in seconds; in the field these are days."""

    due_s: int = 20
    grace_s: int = 15
    cure_s: int = 20
    bounce_s: int = 5
    poll_s: float = 5
    job_s: float = 1
    confirm_interval_s: float = 1


@dataclass(frozen=True, slots=True)
class WorldPlan:
    """All there is. `port` is the cloud's."""

    folder: Path
    port: int
    sites: tuple[SitePlan, ...]
    waits: Waits = Waits()
    units_per_minute: float = 600
    watts_per_minute: float = 2_000_000
    restart_s: float = 3
    share_s: float = 1
    seed: int = 7


@dataclass
class World:
    """A started or startable world. Use as `with World(plan).running() as world:`."""

    plan: WorldPlan
    control_url: str = ""
    simulator: Program | None = None
    mail: Program | None = None
    cloud: Program | None = None
    agents: dict[str, Program] = field(default_factory=dict)

    @property
    def cloud_url(self) -> str:
        """Where the cloud's pages are."""
        return f"http://127.0.0.1:{self.plan.port}"

    @property
    def cloud_config(self) -> Path:
        """The cloud's settings file."""
        return self.plan.folder / "cloud.toml"

    @property
    def mail_port(self) -> int:
        """Where the mail server listens that keeps the notices. Without one nothing counts as delivered."""
        return self.plan.port + MAIL_PORT_OFFSET

    def agent_config(self, site: SitePlan) -> Path:
        """An agent's settings file."""
        return self.plan.folder / site.slug / "agent.toml"

    @property
    def programs(self) -> list[Program]:
        """All that were started."""
        return [program for program in (self.simulator, self.mail, self.cloud, *self.agents.values()) if program]

    def check(self) -> None:
        """Raise `ProcessEndedError` when one of them has ended."""
        for program in self.programs:
            program.check()

    # -- settings ------------------------------------------------------------------------------------------

    def write_settings(self) -> None:
        """Write the spec of the sites and the settings of cloud and agents."""
        folder = self.plan.folder
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "sites.toml").write_text(self._spec(), encoding="utf-8")
        waits = self.plan.waits
        self.cloud_config.write_text(
            f'host = "127.0.0.1"\nport = {self.plan.port}\ndata_dir = "{folder / "cloud"}"\n'
            f"job_interval_s = {waits.job_s}\n\n[gate]\nnotice_bounce_wait_s = {waits.bounce_s}\n"
            "recovery_interval_s = 5\nbooking_lag_s = 60\n\n"
            f'[smtp]\nhost = "127.0.0.1"\nport = {self.mail_port}\nstarttls = false\n'
            'sender = "billing@mesaverde.example"\n',
            encoding="utf-8",
        )
        for site in self.plan.sites:
            path = self.agent_config(site)
            path.parent.mkdir(exist_ok=True)
            path.write_text(self._agent_settings(site), encoding="utf-8")

    def _spec(self) -> str:
        plan = self.plan
        lines = [
            f"seed = {plan.seed}",
            f"restart_seconds = {plan.restart_s}",
            f"share_seconds = {plan.share_s}",
        ]
        for site in plan.sites:
            lines += ["", "[[sites]]", f'name = "{site.slug}"', f'subnet = "{site.subnet}"']
            pools = ", ".join(
                f'{{ url = "{url}", user = "{{customer}}.{{n:03}}", password = "{CUSTOMER_POOL_PASSWORD}" }}'
                for url in CUSTOMER_POOLS
            )
            lines.append(f"pools = [{pools}]")
            for fleet in site.fleets:
                lines += [
                    "[[sites.miners]]",
                    f'family = "{fleet.family}"',
                    f"count = {fleet.count}",
                    f'customer = "{fleet.customer}"',
                ]
        return "\n".join(lines) + "\n"

    def _agent_settings(self, site: SitePlan) -> str:
        plan = self.plan
        folder = plan.folder / site.slug
        return (
            f'name = "{site.code.lower()}-01"\n\n'
            f'[cloud]\nurl = "{self.cloud_url}"\n\n'
            f'[site]\nsubnets = ["{site.subnet}"]\n\n'
            f'[store]\npath = "{folder / "data"}"\nmax_bytes = 1_000_000_000\n\n'
            f'[local_web]\nlisten = "127.0.0.1:{site.local_port}"\n\n'
            f'[enforcement]\ntrust_file = "{folder / "trust.json"}"\n'
            f"daily_cap_units = {MAX_PER_SITE}\n"
            f"units_per_minute = {plan.units_per_minute}\nwatts_per_minute = {plan.watts_per_minute}\n"
            f"canary_wait_s = 2\nconfirm_interval_s = {plan.waits.confirm_interval_s}\n"
            f"drift_check_interval_s = {max(5.0, plan.waits.poll_s)}\n"
        )

    # -- commands ------------------------------------------------------------------------------------------

    def cloud_command(self, *arguments: str) -> str:
        """Run `hashyard-cloud` to its end and return what it printed."""
        return run([program("hashyard-cloud"), *arguments, "--config", str(self.cloud_config)], {})

    def agent_command(self, site: SitePlan, *arguments: str) -> str:
        """Run `hashyard-agent` to its end and return what it printed."""
        return run([program("hashyard-agent"), *arguments, "--config", str(self.agent_config(site))], {})

    def record_pools(self, site: SitePlan, customer_id: str, name: str, account: str) -> None:
        """As a technician: write down a customer's pools on site; some firmwares never give passwords back."""
        for url in CUSTOMER_POOLS:
            self.agent_command(
                site,
                *("pools", "record", customer_id, url, account + ".{unit}"),
                *("--password", CUSTOMER_POOL_PASSWORD, "--name", name),
            )

    def enrolled(self, site: SitePlan) -> bool:
        """Whether this site's agent has an identity already."""
        return (self.plan.folder / site.slug / "data" / "identity.json").exists()

    # -- life ----------------------------------------------------------------------------------------------

    def start_simulator(self) -> int:
        """Start the sites; returns how many miners there are."""
        self.simulator = Program(
            "simulator",
            [
                sys.executable,
                "-m",
                "hashyard_simulator",
                "--spec",
                str(self.plan.folder / "sites.toml"),
                "--state",
                str(self.plan.folder / "sites.state.json"),
            ],
            self.plan.folder / "logs" / "simulator.log",
            {},
        )
        self.simulator.start(read_stdout=True)
        ready = json.loads(self.simulator.read_line())
        self.control_url = ready["control"]
        return int(ready["miners"])

    def start_mail(self) -> None:
        """Start the mail server that accepts the notices and keeps them as files."""
        self.mail = Program(
            "mail",
            [
                sys.executable,
                "-m",
                "hashyard_support.mail_server",
                "--port",
                str(self.mail_port),
                "--folder",
                str(self.plan.folder / "mail"),
            ],
            self.plan.folder / "logs" / "mail.log",
            {},
        )
        self.mail.start(read_stdout=True)
        self.mail.read_line()

    def start_cloud(self) -> None:
        """Start the cloud, and the mail server its notices go to, and wait until it answers."""
        self.start_mail()
        self.cloud = Program(
            "cloud",
            [program("hashyard-cloud"), "serve", "--config", str(self.cloud_config)],
            self.plan.folder / "logs" / "cloud.log",
            {},
        )
        self.cloud.start()
        wait_until(self.cloud_answers, "the cloud answers", READY_TIMEOUT_S, [self.cloud])

    def start_agent(self, site: SitePlan) -> None:
        """Start a site's agent."""
        agent = Program(
            f"agent {site.name}",
            [program("hashyard-agent"), "run", "--config", str(self.agent_config(site))],
            self.plan.folder / "logs" / f"agent-{site.slug}.log",
            {},
        )
        agent.start()
        self.agents[site.name] = agent

    @contextlib.contextmanager
    def running(self) -> Iterator["World"]:
        """Stop whatever was started inside, agents first, however it ends."""
        try:
            yield self
        finally:
            for started in (*self.agents.values(), self.cloud, self.mail, self.simulator):
                if started is not None:
                    started.stop()

    def cloud_answers(self) -> bool:
        """Whether the cloud serves its login page."""
        try:
            with urllib.request.urlopen(f"{self.cloud_url}/login", timeout=HTTP_TIMEOUT_S) as answer:  # noqa: S310
                return bool(answer.status == 200)
        except OSError:
            return False

    # -- the truth, as the simulator holds it --------------------------------------------------------------

    def control(self, path: str, body: dict[str, Any] | None = None, method: str | None = None) -> Any:
        """Ask or tell the simulator's control API."""
        request = urllib.request.Request(  # noqa: S310 - the simulator's own address on loopback
            self.control_url + path,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json"},
            method=method,
        )
        with urllib.request.urlopen(request, timeout=HTTP_TIMEOUT_S) as answer:  # noqa: S310
            return json.loads(answer.read() or b"null")

    def miners(self) -> list[dict[str, Any]]:
        """Every simulated miner: id, family, ip, mac."""
        found = self.control("/miners")
        return list(found["miners"] if isinstance(found, dict) else found)

    def miner(self, ip: str) -> dict[str, Any]:
        """The true state of one miner."""
        state: dict[str, Any] = self.control(f"/miners/{ip}")
        return state


def program(name: str) -> str:
    """A console script of this installation."""
    return str(Path(sys.executable).parent / name)


def read_toml(path: Path) -> dict[str, Any]:
    """A TOML file as a dict."""
    return tomllib.loads(path.read_text(encoding="utf-8"))


def spread(total: int, shares: Sequence[float]) -> list[int]:
    """`total` whole things over `shares`, each at least 1, adding up."""
    counts = [max(1, int(total * share)) for share in shares]
    counts[0] += max(0, total - sum(counts))
    return counts
