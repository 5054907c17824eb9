"""Where a MAC lives, for enforcement: from the fleet and its newest readings."""

from dataclasses import dataclass

from hashyard_agent.fleet import Fleet
from hashyard_agent.polling import Poller
from hashyard_agent.ports import Identity
from hashyard_shared.ids import MalformedIdError


@dataclass(frozen=True, slots=True)
class FleetLocator:
    """`MinerLocator` over what discovery and polling know."""

    fleet: Fleet
    poller: Poller

    def locate(self, mac: str) -> Identity | None:
        """Who answers to this MAC; None while nobody or more than one does."""
        try:
            found = self.fleet.by_mac(mac)
        except MalformedIdError:
            return None
        return found[0].identity if len(found) == 1 else None

    def duplicated(self, mac: str) -> bool:
        """Whether a person must look at this MAC first."""
        try:
            return len(self.fleet.by_mac(mac)) > 1 or self.fleet.is_questioned(mac)
        except MalformedIdError:
            return False

    def power_w(self, mac: str) -> int | None:
        """The power it last drew; None when that was not seen."""
        try:
            found = self.fleet.by_mac(mac)
        except MalformedIdError:
            return None
        latest = self.poller.latest()
        for miner in found:
            seen = latest.get(self.fleet.reported_id(miner))
            if seen is not None and seen.reading.power_w is not None:
                return seen.reading.power_w
        return None
