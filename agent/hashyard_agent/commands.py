"""What a person asks of one miner or many: the locating light, and a restart, each with proof that it happened.

Restarts are paced over the whole site, because a hall that starts together trips breakers, and a device is asked
who it is under its lock before it is told anything: addresses move.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from hashyard_agent.errors import AgentError, MinerError, MinerRefusedError, SettingsError
from hashyard_agent.locks import MinerLocks
from hashyard_agent.ports import FastReader, Identity, MinerDriver
from hashyard_profiles import Profile, Profiles
from hashyard_shared.clock import Clock
from hashyard_shared.errors import ErrorCode

MAX_MINERS: Final = 5_000
S_PER_MINUTE: Final = 60.0
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class CommandConfig:
    """How fast, and how long a restart may take until it counts as failed."""

    reboots_per_minute: float = 10.0
    lights_per_minute: float = 240.0
    at_once: int = 32
    call_timeout_s: float = 10.0
    lock_timeout_s: float = 30.0
    reboot_timeout_s: float = 420.0
    refused_timeout_s: float = 20.0
    look_every_s: float = 2.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a command on one miner. `done` only when it was seen; `detail` is for a person."""

    ip: str
    mac: str | None
    done: bool
    detail: str
    code: ErrorCode | None = None


class IdentityReader(Protocol):
    """Asks a device of a known family who it is."""

    async def who(self, ip: str, profile: Profile, timeout_s: float) -> Identity:
        """Who the device says it is. Errors: `MinerError` and its kinds."""
        ...


class Pace:
    """At most so many a minute, evenly, over everything that shares this object."""

    def __init__(self, per_minute: float, clock: Clock) -> None:
        self._gap_s = S_PER_MINUTE / per_minute
        self._clock = clock
        self._next_s = float("-inf")

    async def turn(self) -> None:
        """Wait until it is this caller's turn."""
        now_s = self._clock.monotonic_s()
        due_s = max(now_s, self._next_s)
        self._next_s = due_s + self._gap_s
        await asyncio.sleep(due_s - now_s)


class MinerCommands:
    """Lights and restarts."""

    def __init__(
        self,
        config: CommandConfig,
        *,
        driver: MinerDriver,
        reader: FastReader,
        identities: IdentityReader,
        profiles: Profiles,
        locks: MinerLocks,
        clock: Clock,
    ) -> None:
        self._config = config
        self._driver = driver
        self._reader = reader
        self._identities = identities
        self._profiles = profiles
        self._locks = locks
        self._clock = clock
        self._lights = Pace(config.lights_per_minute, clock)
        self._reboots = Pace(config.reboots_per_minute, clock)

    async def lights(
        self, miners: Sequence[Identity], *, on: bool, told: Callable[[Outcome], None] | None = None
    ) -> list[Outcome]:
        """Switch the lights of these miners; each outcome is told as it comes. Errors: `SettingsError`."""

        async def one(miner: Identity) -> Outcome:
            await self._lights.turn()
            async with self._locks.hold(miner.ip, self._config.lock_timeout_s):
                await self._is_still_there(miner)
                await self._driver.set_led(miner, on)
            return Outcome(miner.ip, miner.mac, done=True, detail=f"light {'on' if on else 'off'}")

        return await self._each("light", miners, one, told)

    async def reboot(
        self, miners: Sequence[Identity], *, told: Callable[[Outcome], None] | None = None
    ) -> list[Outcome]:
        """Restart these miners; done is one whose uptime began anew. Errors: `SettingsError`."""
        return await self._each("reboot", miners, self._reboot, told)

    async def _each(
        self,
        what: str,
        miners: Sequence[Identity],
        work: Callable[[Identity], Awaitable[Outcome]],
        told: Callable[[Outcome], None] | None,
    ) -> list[Outcome]:
        if len(miners) > MAX_MINERS:
            raise SettingsError(f"{len(miners)} miners in one command; at most {MAX_MINERS}")
        slots = asyncio.Semaphore(self._config.at_once)

        async def run(miner: Identity) -> Outcome:
            async with slots:
                outcome = await self._outcome(miner, work)
            _log.info("%s %s: %s", what, miner.ip, outcome.detail)
            if told is not None:
                told(outcome)
            return outcome

        return list(await asyncio.gather(*(run(miner) for miner in miners)))

    async def _outcome(self, miner: Identity, work: Callable[[Identity], Awaitable[Outcome]]) -> Outcome:
        try:
            return await work(miner)
        except AgentError as error:
            return Outcome(miner.ip, miner.mac, done=False, detail=str(error), code=error.code)

    async def _is_still_there(self, miner: Identity) -> None:
        """Who answers at the address now is the miner that is meant; only families that tell their MAC can say."""
        profile = self._profiles.get(miner.family)
        if profile is None or miner.mac is None or profile.identity.fields.mac is None:
            return
        now = await self._identities.who(miner.ip, profile, self._config.call_timeout_s)
        if now.mac != miner.mac:
            raise MinerRefusedError(miner.ip, f"{now.mac or 'another device'} answers here now, not {miner.mac}")

    async def _reboot(self, miner: Identity) -> Outcome:
        await self._reboots.turn()
        async with self._locks.hold(miner.ip, self._config.lock_timeout_s):
            await self._is_still_there(miner)
            before_s = await self._uptime_s(miner)
            ordered_s = self._clock.monotonic_s()
            refusal = await self._order_reboot(miner)
        if refusal is None:
            return await self._wait_until_restarted(miner, before_s, ordered_s, self._config.reboot_timeout_s)
        outcome = await self._wait_until_restarted(miner, before_s, ordered_s, self._config.refused_timeout_s)
        if outcome.done or outcome.code is ErrorCode.MINER_UNREACHABLE:
            return outcome
        raise refusal

    async def _order_reboot(self, miner: Identity) -> MinerError | None:
        """What the driver says against it; some firmwares restart and answer in a way that it takes for a no."""
        try:
            await self._driver.reboot(miner)
        except MinerError as error:
            return error
        return None

    async def _wait_until_restarted(
        self, miner: Identity, before_s: int | None, ordered_s: float, timeout_s: float
    ) -> Outcome:
        seen_s: int | None = None
        passed_s = 0.0
        while passed_s < timeout_s:
            await asyncio.sleep(self._config.look_every_s)
            seen_s = await self._uptime_s(miner)
            passed_s = self._clock.monotonic_s() - ordered_s
            if seen_s is None:
                continue
            if seen_s <= passed_s + self._config.look_every_s and (before_s is None or seen_s < before_s):
                detail = f"restarted, seen {passed_s:.0f} s after the order"
                return Outcome(miner.ip, miner.mac, done=True, detail=detail)
        if seen_s is None:
            detail, code = "did not come back in time", ErrorCode.MINER_UNREACHABLE
        else:
            detail, code = "answers, but did not restart", ErrorCode.WRITE_NOT_TAKEN
        return Outcome(miner.ip, miner.mac, done=False, detail=detail, code=code)

    async def _uptime_s(self, miner: Identity) -> int | None:
        try:
            return (await self._reader.read(miner, self._config.call_timeout_s)).uptime_s
        except MinerError:
            return None
