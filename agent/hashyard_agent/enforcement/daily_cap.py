"""The site's daily cap: how many units a day may be redirected, restarted or curtailed without a technician.

All kinds share it, for what it bounds is how much of a hall somebody who took the cloud over could disturb.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from hashyard_agent.enforcement.book import Book
from hashyard_agent.enforcement.model import DAY_US, EnforcementPolicy
from hashyard_shared.clock import Clock

CONFIRMED_FACT: Final = "confirmed-units"
DISTURBED_FACT: Final = "disturbed-units"


class DailyCap:
    """Counts devices by MAC, within any span of a day. `unit_ids` gives the unit id of each bound MAC."""

    def __init__(
        self, book: Book, policy: EnforcementPolicy, clock: Clock, unit_ids: Callable[[], Mapping[str, str]]
    ) -> None:
        self._book = book
        self._policy = policy
        self._clock = clock
        self._unit_ids = unit_ids

    @property
    def limit(self) -> int:
        """How many units."""
        return self._policy.daily_cap_units

    def disturbed(self) -> set[str]:
        """The MACs that the last day counts."""
        since_us = self._clock.now_us() - DAY_US
        rows = self._book.units.values()
        redirected = {row.mac for row in rows if row.redirected_at_us and row.redirected_at_us > since_us}
        return redirected | {mac for mac, at_us in self._noted().items() if at_us > since_us}

    def confirmed(self) -> frozenset[str]:
        """The units that a technician confirmed over the cap, by unit id."""
        return frozenset(json.loads(self._book.facts.get(CONFIRMED_FACT, "[]")))

    def room(self, macs: Sequence[str]) -> str | None:
        """Why these may not be disturbed without a technician, or None."""
        disturbed, confirmed, unit_ids = self.disturbed(), self.confirmed(), self._unit_ids()
        more = {mac for mac in macs if mac not in disturbed and unit_ids.get(mac) not in confirmed}
        if not more or len(disturbed) + len(more) <= self.limit:
            return None
        return (
            f"{len(disturbed)} units were redirected, restarted or written within a day and {len(more)} more "
            f"would pass the site's cap of {self.limit}; a technician does it on site, or confirms: "
            "hashyard-agent confirm"
        )

    async def note(self, macs: Sequence[str]) -> None:
        """These are about to be disturbed; durable before they are. Errors: `StoreError`."""
        now_us = self._clock.now_us()
        kept = {mac: at_us for mac, at_us in self._noted().items() if at_us > now_us - DAY_US}
        await self._book.note(facts={DISTURBED_FACT: json.dumps(kept | dict.fromkeys(macs, now_us))})

    def _noted(self) -> dict[str, int]:
        return dict(json.loads(self._book.facts.get(DISTURBED_FACT, "{}")))
