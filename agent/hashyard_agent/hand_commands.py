"""Lights and restarts that a technician asks of the running agent by the command line.

The command line leaves them in the agent's store instead of talking to the miner itself: only the agent knows who
else is talking to it. Each is marked as begun, durably, before it begins: none is carried out twice.
"""

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final, Protocol

from hashyard_agent.enforcement.ports import LocalCommand
from hashyard_agent.errors import AgentError
from hashyard_agent.fleet import Fleet
from hashyard_agent.ports import Identity, Outbox
from hashyard_agent.tasks import LED, REBOOT, Cap, Commands, Outcome
from hashyard_shared.clock import US_PER_S, Clock
from hashyard_shared.events import SiteControl

LOG = logging.getLogger(__name__)
KINDS: Final = (LED, REBOOT)
BEGUN: Final = "begun"
"""The result of a command that is being carried out; another follows."""
EXPIRES_US: Final = 60 * US_PER_S
"""Nobody waits for an older one any more: the agent was stopped when it was left."""
LOOK_EVERY_S: Final = 0.5
MAX_AT_ONCE: Final = 200


class CommandStore(Protocol):
    """Where the command line leaves them. Errors: `StoreError`. Calls block."""

    def commands(self, limit: int, kinds: Sequence[str]) -> list[LocalCommand]:
        """Commands of these kinds that nobody has taken yet, oldest first."""
        ...

    def finish_command(self, command_id: int, at_us: int, result: str) -> None:
        """Set the result; the command is then taken."""
        ...


class HandCommands:
    """Takes them and carries them out side by side; the commands themselves keep the pace."""

    def __init__(
        self,
        *,
        store: CommandStore,
        commands: Commands,
        fleet: Fleet,
        identify: Callable[[str], Awaitable[Identity]],
        cap: Cap,
        outbox: Outbox,
        clock: Clock,
    ) -> None:
        self._store = store
        self._commands = commands
        self._fleet = fleet
        self._identify = identify
        self._cap = cap
        self._outbox = outbox
        self._clock = clock

    async def run(self) -> None:
        """Work until cancelled. Errors: `StoreError`, in a group."""
        async with asyncio.TaskGroup() as group:
            while True:
                # Another process leaves them in the file, so it can only be looked at again and again.
                for command in await asyncio.to_thread(self._store.commands, MAX_AT_ONCE, KINDS):
                    if self._clock.now_us() - command.at_us > EXPIRES_US:
                        await self._answer(command, {"done": False, "detail": "nobody took it in time"})
                        continue
                    await asyncio.to_thread(
                        self._store.finish_command, command.command_id, self._clock.now_us(), BEGUN
                    )
                    group.create_task(self._carry_out(command))
                await asyncio.sleep(LOOK_EVERY_S)

    async def _carry_out(self, command: LocalCommand) -> None:
        ip = str(command.arguments["ip"])
        try:
            outcome = await self._do(command, ip)
        except AgentError as error:
            await self._answer(command, {"done": False, "detail": str(error), "code": error.code})
            return
        told = SiteControl(
            at_us=self._clock.now_us(),
            control=command.kind,
            value=f"{ip}: {outcome.detail}"[:500],
            actor=command.actor[:128],
        )
        self._outbox.put_events([told])
        await self._answer(command, {"done": outcome.done, "detail": outcome.detail, "code": outcome.code})

    async def _do(self, command: LocalCommand, ip: str) -> Outcome:
        known = self._fleet.by_ip(ip)
        identity = known.identity if known is not None else await self._identify(ip)
        if command.kind == LED:
            return (await self._commands.lights([identity], on=bool(command.arguments.get("on", True))))[0]
        if identity.mac is not None:
            # Whoever stands beside it needs no leave, but it counts.
            await self._cap.note([identity.mac])
        return (await self._commands.reboot([identity]))[0]

    async def _answer(self, command: LocalCommand, result: dict[str, Any]) -> None:
        at_us = self._clock.now_us()
        await asyncio.to_thread(self._store.finish_command, command.command_id, at_us, json.dumps(result))
