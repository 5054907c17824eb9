"""What is to be simulated: sites, families, pools. From `--site` flags or a TOML file.

```toml
seed = 7
restart_seconds = 2.0

[[sites]]
name = "north"
subnet = "127.50.1.0/24"
customers = ["alpine", "borealis"]
pools = [
  { url = "stratum+tcp://pool-a.example:3333", user = "{customer}.{n:03}", password = "x" },
]

[[sites.miners]]
family = "antminer-s19"
count = 20
model = "S19j Pro"      # optional, otherwise the family's models in turn
customer = "alpine"     # optional, otherwise the site's customers in turn
```
"""

import ipaddress
import tomllib
from pathlib import Path
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from hashyard_simulator.catalog import MODELS, model_for

MAX_MINERS_PER_SITE = 20_000
MAX_SITES = 64


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class PoolSpec(_Strict):
    """One pool as a miner starts with it; `{customer}`, `{site}` and `{n}` are filled in."""

    url: str
    user: str = "{customer}.{n:03}"
    password: str = "x"


DEFAULT_POOLS = (
    PoolSpec(url="stratum+tcp://pool-a.example:3333"),
    PoolSpec(url="stratum+tcp://pool-b.example:3333"),
    PoolSpec(url="stratum+tcp://pool-c.example:25"),
)


class MinerGroup(_Strict):
    family: str
    count: Annotated[int, Field(ge=0, le=MAX_MINERS_PER_SITE)]
    model: str | None = None
    customer: str | None = None
    pools: tuple[PoolSpec, ...] | None = None
    password: str | None = None

    @model_validator(mode="after")
    def _known(self) -> Self:
        try:
            model_for(self.family, 0, self.model)
        except KeyError as error:
            raise ValueError(error.args[0]) from error
        return self


class SiteSpec(_Strict):
    name: str
    subnet: ipaddress.IPv4Network
    customers: tuple[str, ...] = ("acme",)
    pools: tuple[PoolSpec, ...] = DEFAULT_POOLS
    miners: tuple[MinerGroup, ...]

    @field_validator("subnet")
    @classmethod
    def _loopback(cls, value: ipaddress.IPv4Network) -> ipaddress.IPv4Network:
        if not value.subnet_of(ipaddress.IPv4Network("127.0.0.0/8")):
            raise ValueError(f"{value} is not inside 127.0.0.0/8; simulated sites stay on loopback")
        return value

    @model_validator(mode="after")
    def _fits(self) -> Self:
        wanted = sum(group.count for group in self.miners)
        room = len(addresses(self.subnet, wanted))
        if room < wanted:
            raise ValueError(f"{self.name}: {wanted} miners do not fit into {self.subnet} ({room} addresses)")
        return self


class FarmSpec(_Strict):
    """A whole run. Times in seconds; `share_seconds` is the mean time between two shares of one miner."""

    sites: Annotated[tuple[SiteSpec, ...], Field(max_length=MAX_SITES)] = ()
    seed: int = 1
    restart_seconds: Annotated[float, Field(ge=0)] = 3.0
    reboot_seconds: Annotated[float, Field(ge=0)] | None = None
    share_seconds: Annotated[float, Field(gt=0)] = 1.0
    control_host: str = "127.0.0.1"
    control_port: Annotated[int, Field(ge=0, le=65535)] = 0


def addresses(subnet: ipaddress.IPv4Network, count: int) -> list[str]:
    """The first `count` host addresses, .1 to .254 of each /24 piece, fewer when the subnet is too small.

    A subnet's own network and broadcast addresses are nobody's, as on a real link.
    """
    found: list[str] = []
    for address in subnet.hosts():
        if len(found) >= count:
            break
        if int(address) & 0xFF not in {0, 255}:
            found.append(str(address))
    return found


def parse_site(text: str) -> SiteSpec:
    """`name=north,subnet=127.50.1.0/24,antminer-s19=20,customers=alpine+borealis` as a site.

    Raises `ValueError` that names the part which is wrong.
    """
    fields: dict[str, str] = {}
    for part in text.split(","):
        key, equals, value = part.strip().partition("=")
        if not equals or not value:
            raise ValueError(f"--site: {part!r} is not key=value")
        if key in fields:
            raise ValueError(f"--site: {key!r} is given twice")
        fields[key] = value
    missing = {"name", "subnet"} - fields.keys()
    if missing:
        raise ValueError(f"--site: {', '.join(sorted(missing))} is missing")
    groups = []
    for key, value in fields.items():
        if key in {"name", "subnet", "customers", "password"}:
            continue
        if key not in MODELS:
            raise ValueError(f"--site: unknown family {key!r}; there are {', '.join(sorted(MODELS))}")
        if not value.isdecimal():
            raise ValueError(f"--site: {key}={value!r} is not a number of miners")
        groups.append(MinerGroup(family=key, count=int(value), password=fields.get("password")))
    return SiteSpec(
        name=fields["name"],
        subnet=ipaddress.IPv4Network(fields["subnet"]),
        customers=tuple(fields.get("customers", "acme").split("+")),
        miners=tuple(groups),
    )


def load_spec(path: Path) -> FarmSpec:
    """A farm from a TOML file. Raises `OSError` or `ValueError`."""
    return FarmSpec.model_validate(tomllib.loads(path.read_text()))
