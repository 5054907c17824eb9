"""The miners of the site as the agent knows them: who was last seen where.

The fleet is keyed by address, so that two devices which claim one MAC stay two. A miner's identity is its MAC,
then its serial; a device that told neither goes by its address until it tells. A miner whose address somebody
else has now is *lost*: still known and reported as unreachable, with no address, until it is seen again.
"""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final, Protocol

from hashyard_agent.ports import Identity
from hashyard_shared import ids
from hashyard_shared.telemetry import RosterEntry

MAX_MINERS: Final = 20_000
MAX_QUESTIONS: Final = 200


@dataclass(frozen=True, slots=True)
class KnownMiner:
    """One device. `missed_passes` counts the discovery passes in a row that did not see it."""

    identity: Identity
    expected_hashrate_ths: float | None = None
    writable: bool = False
    open_ports: tuple[int, ...] = ()
    first_seen_us: int = 0
    last_seen_us: int = 0
    missed_passes: int = 0
    board_serials: tuple[str, ...] = ()

    @property
    def ip(self) -> str:
        return self.identity.ip

    @property
    def own_id(self) -> str:
        """`mac:`, else `serial:`, else `ip:` and the value; not unique when two devices claim one MAC."""
        return ids.miner_id(self.identity.mac, self.identity.serial) or f"ip:{self.identity.ip}"


@dataclass(frozen=True, slots=True)
class SwapQuestion:
    """At an address where one miner was known another one answers, and a person must say what happened.

    `same_boards` tells that hashboard serials of both match: then a swapped control board is likely, but it is
    asked about, never assumed.
    """

    ip: str
    old: Identity
    new: Identity
    asked_at_us: int
    same_boards: bool = False


class FleetStore(Protocol):
    """Where the fleet survives a restart of the agent."""

    def load(self) -> list[KnownMiner]:
        """The miners as last saved; an unreadable file is an empty fleet and set aside."""
        ...

    def save(self, miners: Sequence[KnownMiner]) -> None:
        """Keep these miners. Errors: `StoreError`."""
        ...


class Fleet:
    """The known miners. `version` changes whenever somebody appears, goes, moves or is identified anew."""

    def __init__(self, miners: Iterable[KnownMiner] = ()) -> None:
        self._by_ip: dict[str, KnownMiner] = {}
        self._ips_by_id: dict[str, set[str]] = {}
        self._lost: dict[str, KnownMiner] = {}
        for miner in miners:
            if miner.ip:
                self._set(miner)
            else:
                self._lost[miner.own_id] = miner
        self._suspects: set[str] = set()
        self._suspected = asyncio.Event()
        self._questions: dict[tuple[str, str], SwapQuestion] = {}
        self.version = 0

    def __len__(self) -> int:
        return len(self._by_ip) + len(self._lost)

    def all(self) -> list[KnownMiner]:
        """All miners, ordered by identity so that a roster does not change when nothing did."""
        return sorted(self._each(), key=lambda miner: (miner.own_id, miner.ip))

    def _each(self) -> Iterable[KnownMiner]:
        yield from self._by_ip.values()
        yield from self._lost.values()

    def addresses(self) -> list[str]:
        """Where miners are known to be."""
        return list(self._by_ip)

    def by_ip(self, ip: str) -> KnownMiner | None:
        """Who was last seen at this address."""
        return self._by_ip.get(ip)

    def by_mac(self, mac: str) -> list[KnownMiner]:
        """Every device that claims this MAC; more than one blocks orders for all of them."""
        wanted = f"mac:{ids.normalise_mac(mac)}"
        found = [self._by_ip[ip] for ip in sorted(self._ips_by_id.get(wanted, ()))]
        return [*found, self._lost[wanted]] if wanted in self._lost else found

    def get(self, miner_id: str) -> KnownMiner | None:
        """The miner with this id as `miner_id` tells it."""
        return next((miner for found, miner in self.by_id() if found == miner_id), None)

    def by_id(self) -> list[tuple[str, KnownMiner]]:
        """Every miner with the id it is reported under; shared ids have the address added."""
        return [(self.reported_id(miner), miner) for miner in self.all()]

    def reported_id(self, miner: KnownMiner) -> str:
        """The id this miner is reported under."""
        own = miner.own_id
        count = len(self._ips_by_id.get(own, ())) + (own in self._lost)
        return own if count <= 1 else f"{own}~{miner.ip}"

    def duplicate_macs(self) -> dict[str, list[KnownMiner]]:
        """MAC -> the devices that all claim it."""
        found: dict[str, list[KnownMiner]] = {}
        for miner in self.all():
            if miner.identity.mac:
                found.setdefault(miner.identity.mac, []).append(miner)
        return {mac: miners for mac, miners in found.items() if len(miners) > 1}

    def put(self, miner: KnownMiner) -> None:
        """Add the miner or replace what was known at its address; over `MAX_MINERS` a new one is left out."""
        old = self._by_ip.get(miner.ip)
        if old is None and len(self) >= MAX_MINERS:
            return
        self._lost.pop(miner.own_id, None)
        self._set(miner)
        if old is None or _roster_part(old) != _roster_part(miner):
            self.version += 1

    def touch(self, ip: str, *, seen_at_us: int, open_ports: tuple[int, ...]) -> None:
        """The address answered."""
        miner = self._by_ip.get(ip)
        if miner is not None:
            self._by_ip[ip] = replace(miner, last_seen_us=seen_at_us, missed_passes=0, open_ports=open_ports)

    def miss(self, ip: str) -> int:
        """The address did not answer a pass; returns how many passes in a row that makes."""
        miner = self._by_ip.get(ip)
        if miner is None:
            return 0
        missed = replace(miner, missed_passes=miner.missed_passes + 1)
        self._by_ip[ip] = missed
        return missed.missed_passes

    def remove(self, miner: KnownMiner) -> None:
        """Forget this miner."""
        if self._by_ip.get(miner.ip) == miner:
            self._unset(miner.ip)
        elif self._lost.pop(miner.own_id, None) is None:
            return
        self.version += 1

    def displace(self, ip: str) -> None:
        """Somebody else has this address now: who was there is lost until seen again."""
        miner = self._unset(ip)
        if miner is None:
            return
        self.version += 1
        if miner.own_id not in self._ips_by_id and not miner.own_id.startswith("ip:"):
            self._lost[miner.own_id] = replace(miner, identity=replace(miner.identity, ip=""))

    def _set(self, miner: KnownMiner) -> None:
        self._unset(miner.ip)
        self._by_ip[miner.ip] = miner
        self._ips_by_id.setdefault(miner.own_id, set()).add(miner.ip)

    def _unset(self, ip: str) -> KnownMiner | None:
        miner = self._by_ip.pop(ip, None)
        if miner is not None:
            ips = self._ips_by_id[miner.own_id]
            ips.discard(ip)
            if not ips:
                del self._ips_by_id[miner.own_id]
        return miner

    def suspect(self, ip: str) -> None:
        """What answers at this address does not read as the miner known there: identify it again soon."""
        if ip in self._by_ip:
            self._suspects.add(ip)
            self._suspected.set()

    def take_suspects(self) -> list[str]:
        """The suspected addresses, each once."""
        suspects, self._suspects = sorted(self._suspects), set()
        self._suspected.clear()
        return suspects

    async def wait_for_suspects(self) -> None:
        """Until an address is suspected."""
        await self._suspected.wait()

    def ask(self, question: SwapQuestion) -> bool:
        """Keep a question for a person; returns whether it is new."""
        key = (question.old.mac or question.old.ip, question.new.mac or question.new.ip)
        if key in self._questions or len(self._questions) >= MAX_QUESTIONS:
            return False
        self._questions[key] = question
        return True

    def questions(self) -> list[SwapQuestion]:
        """What a person has not answered yet, oldest first."""
        return sorted(self._questions.values(), key=lambda question: question.asked_at_us)

    def is_questioned(self, mac: str) -> bool:
        """Whether this MAC is part of an open question; its orders wait until a person has looked."""
        wanted = ids.normalise_mac(mac)
        return any(wanted in {question.old.mac, question.new.mac} for question in self._questions.values())

    def answer(self, old_mac: str, new_mac: str) -> None:
        """A person has looked: the question is settled."""
        self._questions.pop((ids.normalise_mac(old_mac), ids.normalise_mac(new_mac)), None)

    def settle_bound(self, macs: Iterable[str]) -> None:
        """These MACs are bound to units now: a question is settled when a person has bound the new device."""
        bound = {ids.normalise_mac(mac) for mac in macs}
        for key, question in list(self._questions.items()):
            if question.new.mac in bound and question.old.mac not in bound:
                del self._questions[key]

    def roster_entry(self, miner: KnownMiner, miner_id: str) -> RosterEntry:
        """The miner as it is reported."""
        identity = miner.identity
        return RosterEntry(
            miner_id=miner_id,
            mac=identity.mac,
            serial=identity.serial,
            ip=identity.ip,
            family=identity.family,
            make=identity.make,
            model=identity.model,
            firmware=identity.firmware,
            expected_hashrate_ths=miner.expected_hashrate_ths,
            writable=miner.writable,
        )


def _roster_part(miner: KnownMiner) -> tuple[Identity, float | None, bool]:
    return (miner.identity, miner.expected_hashrate_ths, miner.writable)
