"""Both drivers as one: the second reads the details of families that name it, the first does everything else."""

from hashyard_agent.errors import MinerError
from hashyard_agent.ports import Details, Identity, MinerDriver
from hashyard_profiles import Profiles


class TwoDrivers:
    """`MinerDriver` over a first one and a second one for some families' details."""

    def __init__(self, profiles: Profiles, first: MinerDriver, second: MinerDriver) -> None:
        self._profiles = profiles
        self._first = first
        self._second = second

    async def identify(self, ip: str) -> Identity:
        """Who answers at this address."""
        return await self._first.identify(ip)

    async def details(self, identity: Identity) -> Details:
        """Boards, fans, pools, errors; where the second driver fails, what the first one reads."""
        profile = self._profiles.get(identity.family)
        if profile is not None and profile.details_driver == "asic-rs":
            try:
                return await self._second.details(identity)
            except MinerError:
                return await self._first.details(identity)
        return await self._first.details(identity)

    async def set_led(self, identity: Identity, on: bool) -> None:
        """Switch the locating light."""
        await self._first.set_led(identity, on)

    async def reboot(self, identity: Identity) -> None:
        """Ask for a restart."""
        await self._first.reboot(identity)
