"""Takes orders in: judges what the cloud offers, makes what is accepted durable, reports what is refused, once."""

import asyncio
import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from hashyard_agent.enforcement.accepting import order_entry, ordered
from hashyard_agent.enforcement.book import Book
from hashyard_agent.enforcement.daily_cap import DailyCap
from hashyard_agent.enforcement.leases import TrustedTime
from hashyard_agent.enforcement.model import AgentFacts, JournalEntry
from hashyard_agent.enforcement.orders import TRANSIENT, Accepted, Refusal, Situation, judge
from hashyard_agent.enforcement.ports import TrustSource
from hashyard_agent.ports import MinerLocator
from hashyard_shared.clock import Clock
from hashyard_shared.errors import ErrorCode
from hashyard_shared.events import MAX_DETAIL_CHARS, OrderRefused
from hashyard_shared.ids import MalformedIdError, normalise_mac
from hashyard_shared.orders import Order, OrderKind
from hashyard_shared.protocol import SiteSettings, UnitBinding
from hashyard_shared.signing import Envelope

MAX_JUDGED_AT_ONCE: Final = 64
JUDGE_EVERY_S: Final = 5.0
BUSY_AGAIN_S: Final = 0.05


@dataclass(frozen=True, slots=True)
class Offer:
    """The last desired state's part that concerns enforcement."""

    orders: Sequence[Envelope]
    bindings: Mapping[str, UnitBinding]
    shared_macs: frozenset[str]
    settings: SiteSettings

    @classmethod
    def of(cls, orders: Sequence[Envelope], units: Sequence[UnitBinding], settings: SiteSettings) -> "Offer":
        """From a desired state; a MAC that two units claim is noted."""
        seen: set[str] = set()
        shared: set[str] = set()
        for unit in units:
            try:
                mac = normalise_mac(unit.mac)
            except MalformedIdError:
                continue
            (shared if mac in seen else seen).add(mac)
        return cls(tuple(orders), {unit.unit_id: unit for unit in units}, frozenset(shared), settings)

    def by_mac(self) -> dict[str, tuple[str, str, str]]:
        """MAC -> unit id, customer id ("" for none) and label, for MACs that one unit claims."""
        found: dict[str, tuple[str, str, str]] = {}
        for unit in self.bindings.values():
            try:
                mac = normalise_mac(unit.mac)
            except MalformedIdError:
                continue
            if mac not in self.shared_macs:
                found[mac] = (unit.unit_id, unit.customer_id or "", unit.label)
        return found


class Intake:
    """Judges the offered orders again and again while something may still change the answer."""

    def __init__(
        self,
        *,
        agent: AgentFacts,
        cap: DailyCap,
        book: Book,
        source: TrustSource,
        locator: MinerLocator,
        time: TrustedTime,
        clock: Clock,
        busy: Callable[[str], bool],
    ) -> None:
        self._agent = agent
        self._cap = cap
        self._book = book
        self._source = source
        self._locator = locator
        self._time = time
        self._clock = clock
        self._busy = busy
        self._settled: set[str] = set()
        self._passed: set[str] = set()
        self._reported: dict[str, ErrorCode] = {}

    async def judge_some(self, offer: Offer) -> tuple[list[str], float]:
        """Judge the next orders that are open; returns the units with a new one, and when to judge on, in seconds.

        A large document is judged in parts, so that the first miner need not wait for the last order. After a
        whole round what may still change is judged again from the start. Errors: `StoreError`, `SettingsError`.
        """
        digests = [(_digest(envelope), envelope) for envelope in offer.orders]
        current = {digest for digest, _ in digests}
        self._settled &= current
        self._reported = {digest: code for digest, code in self._reported.items() if digest in current}
        waiting = [pair for pair in digests if pair[0] not in self._settled and pair[0] not in self._passed]
        if not waiting:
            self._passed.clear()
            return [], JUDGE_EVERY_S
        view = _View.of(self._book, self._cap)
        changed: list[str] = []
        busy = False
        async with asyncio.TaskGroup() as saving:
            for digest, envelope in waiting[:MAX_JUDGED_AT_ONCE]:
                self._passed.add(digest)
                verdict = judge(envelope, self._situation(offer, view))
                if isinstance(verdict, Refusal):
                    await self._refused(digest, verdict)
                elif verdict.known:
                    self._settled.add(digest)
                elif self._busy(verdict.order.unit_id):
                    # Its visit ends soon; an order must not wait for the next round.
                    self._passed.discard(digest)
                    busy = True
                else:
                    view.add(verdict.order)
                    # Side by side: what waits together reaches the disk together.
                    saving.create_task(self._accepted(digest, envelope, verdict, offer))
                    changed.append(verdict.order.unit_id)
        return changed, BUSY_AGAIN_S if busy else 0.0

    def _situation(self, offer: Offer, view: "_View") -> Situation:
        return Situation(
            trust=self._source.trust(),
            agent_id=self._agent.agent_id,
            agent_key=self._agent.agent_key(),
            epoch=self._agent.epoch(),
            now_us=self._time.now_us(),
            bindings=offer.bindings,
            mac_shared=lambda mac: mac in offer.shared_macs or self._locator.duplicated(mac),
            last_sequence=view.sequences,
            last_order=view.orders,
            redirected=view.redirected,
            disturbed_today=len(view.disturbed_today),
            daily_cap_units=self._cap.limit,
            confirmed=view.confirmed,
            redirect_enabled=offer.settings.redirect_enabled,
        )

    async def _accepted(self, digest: str, envelope: Envelope, verdict: Accepted, offer: Offer) -> None:
        order = verdict.order
        row = self._book.units.get(order.unit_id)
        rows = ordered(row, verdict, offer.bindings[order.unit_id], self._clock.now_us())
        for left in rows[:-1]:
            await self._book.save(left, JournalEntry("left-behind", {"unit_id": left.unit_id, "mac": left.mac}))
        await self._book.save(rows[-1], order_entry(envelope, verdict))
        self._settled.add(digest)

    async def _refused(self, digest: str, refusal: Refusal) -> None:
        if refusal.code not in TRANSIENT:
            self._settled.add(digest)
        if self._reported.get(digest) is refusal.code:
            return
        self._reported[digest] = refusal.code
        order = refusal.order
        now_us = self._clock.now_us()
        event = OrderRefused(
            at_us=now_us,
            order_id=order.order_id if order else None,
            unit_id=order.unit_id if order else None,
            sequence=order.sequence if order else None,
            code=refusal.code,
            detail=refusal.detail[:MAX_DETAIL_CHARS],
        )
        data = event.model_dump(mode="json", exclude={"kind", "at_us"}) | {"digest": digest}
        await self._book.note(JournalEntry("order-refused", data), events=(event,))


@dataclass(frozen=True, slots=True)
class _View:
    """What earlier orders of the same pass change for later ones."""

    sequences: dict[str, int]
    orders: dict[str, str]
    redirected: set[str]
    disturbed_today: set[str]
    confirmed: frozenset[str]

    @classmethod
    def of(cls, book: Book, cap: DailyCap) -> "_View":
        rows = book.units.values()
        return cls(
            sequences={row.unit_id: row.sequence for row in rows},
            orders={row.unit_id: row.order.order_id for row in rows if row.order},
            redirected={row.unit_id for row in rows if row.goal is OrderKind.REDIRECT},
            disturbed_today=cap.disturbed(),
            confirmed=cap.confirmed(),
        )

    def add(self, order: Order) -> None:
        self.sequences[order.unit_id] = order.sequence
        self.orders[order.unit_id] = order.order_id
        if order.kind is OrderKind.REDIRECT:
            self.redirected.add(order.unit_id)
            self.disturbed_today.add(normalise_mac(order.mac))
        else:
            self.redirected.discard(order.unit_id)


def _digest(envelope: Envelope) -> str:
    return hashlib.sha256(f"{envelope.key}:{envelope.payload}:{envelope.signature}".encode()).hexdigest()
