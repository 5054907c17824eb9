"""Light, restart and recorded pools, asked of a site's agent from the cloud.

They travel as tasks in the desired state. The agent carries each out at most once, within the site's own daily cap
and pace, and answers with what it saw; "done" is its word for that, never that something was sent.
"""

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from hashyard_cloud.errors import ConflictError, MalformedError, NotFoundError, RateLimitedError
from hashyard_cloud.services import activity
from hashyard_cloud.services.ports.activity import Actor
from hashyard_cloud.services.ports.agents import AgentRow
from hashyard_cloud.services.ports.commands import CommandKind, CommandRow, CommandState
from hashyard_cloud.services.ports.database import Transaction
from hashyard_cloud.services.ports.equipment import UnitRow
from hashyard_cloud.services.rate_limits import RateLimit
from hashyard_shared.clock import US_PER_S, Clock
from hashyard_shared.errors import ErrorCode
from hashyard_shared.events import CommandResult, Event, Unsupported
from hashyard_shared.ids import new_id
from hashyard_shared.protocol import TASK_ASSIGN_POOLS, TASK_LED, TASK_REBOOT, Task

MAX_UNITS_PER_COMMAND: Final = 500
MAX_OPEN_PER_SITE: Final = 900
"""Below what one desired state carries; more wait for answers first."""
ASKED_PER_MINUTE: Final = 30
EXPIRES_S: Final = 15 * 60
UNIT_KINDS: Final = frozenset({CommandKind.LIGHT_ON, CommandKind.LIGHT_OFF, CommandKind.REBOOT})
_UNSUPPORTED: Final = re.compile(r"task ([0-9a-f-]{36})\b")


class Commands:
    """Asks and takes answers; the sink for `CommandResult`. Works in the caller's transaction."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._limit = RateLimit(clock, ASKED_PER_MINUTE, ASKED_PER_MINUTE)

    async def ask(
        self, tx: Transaction, organisation_id: str, actor: Actor, kind: CommandKind, unit_ids: Sequence[str]
    ) -> list[CommandRow]:
        """Ask the same of these units, all or none."""
        chosen = list(dict.fromkeys(unit_ids))
        if kind not in UNIT_KINDS:
            raise MalformedError("Ask for light-on, light-off or reboot.", field="kind")
        if not 1 <= len(chosen) <= MAX_UNITS_PER_COMMAND:
            raise MalformedError(f"Choose 1 to {MAX_UNITS_PER_COMMAND} units.", field="unit_ids")
        self._limit.take(f"{organisation_id}:{actor.user_id}")
        rows = []
        for unit, miner_id in await self._miners(tx, organisation_id, chosen):
            row = self._row(organisation_id, unit.site_id, kind, actor, unit.label)
            rows.append(replace(row, unit_id=unit.unit_id, miner_id=miner_id))
        await self._keep(tx, rows)
        labels = ", ".join(row.label for row in rows[:20]) + (" …" if len(rows) > 20 else "")
        await self._record(tx, actor, rows[0], f"{kind.label} asked of {labels}")
        return rows

    async def ask_pools(
        self, tx: Transaction, organisation_id: str, actor: Actor, customer_id: str, site_id: str
    ) -> CommandRow:
        """Ask a site to write a customer's pools as they are recorded there. The cloud names the record alone."""
        customer = await tx.customers.get(organisation_id, customer_id)
        site = await tx.sites.get(organisation_id, site_id)
        if customer is None or site is None:
            raise NotFoundError
        bound = await tx.equipment.bound(organisation_id, site_id=site_id, customer_id=customer_id)
        if not bound:
            raise ConflictError(f"{customer.name} has no machines at {site.name}.")
        self._limit.take(f"{organisation_id}:{actor.user_id}")
        row = self._row(
            organisation_id, site_id, CommandKind.ASSIGN_POOLS, actor, f"{customer.name} at {site.name}"
        )
        row = replace(row, customer_id=customer_id)
        await self._keep(tx, [row])
        await self._record(tx, actor, row, f"{row.kind.label} asked for {row.label}")
        return row

    async def apply(self, tx: Transaction, agent: AgentRow, origin: tuple[int, int, int], event: Event) -> None:
        """An agent's answer; a second one changes nothing, one from another site neither."""
        del origin
        if isinstance(event, CommandResult):
            await self._answered(tx, agent, event.command_id, event.done, event.code, event.detail, event.at_us)
        elif isinstance(event, Unsupported) and (found := _UNSUPPORTED.match(event.what)):
            text = "the agent is too old for this; update it"
            await self._answered(tx, agent, found[1], False, ErrorCode.UNSUPPORTED, text, event.at_us)

    async def _answered(
        self,
        tx: Transaction,
        agent: AgentRow,
        command_id: str,
        done: bool,
        code: ErrorCode | None,
        detail: str,
        at_us: int,
    ) -> None:
        row = await tx.commands.get(agent.organisation_id, command_id)
        if row is None or row.site_id != agent.site_id or row.state is not CommandState.ASKED:
            return
        state = CommandState.DONE if done else CommandState.REFUSED
        row = replace(row, state=state, code=code.value if code else None, detail=detail, ended_us=at_us)
        await tx.commands.update(row)
        text = f"{row.kind.label}, {row.label}: {state}, {detail}"
        await self._record(tx, Actor(f"site:{agent.agent_id}", agent.name), row, text)

    async def _miners(
        self, tx: Transaction, organisation_id: str, unit_ids: Sequence[str]
    ) -> list[tuple[UnitRow, str]]:
        units = [await tx.equipment.get(organisation_id, unit_id) for unit_id in unit_ids]
        known = [unit for unit in units if unit is not None]
        if len(known) < len(unit_ids):
            raise NotFoundError
        seen = await tx.miners.seen(organisation_id, macs=[unit.mac for unit in known if unit.mac])
        by_mac = {one.miner.mac: one.miner.miner_id for one in seen}
        missing = [unit.label for unit in known if unit.mac not in by_mac]
        if missing:
            raise ConflictError(f"No agent has seen a miner for {missing[0]} yet, so nobody can be asked.")
        return [(unit, by_mac[unit.mac]) for unit in known]

    def _row(self, organisation_id: str, site_id: str, kind: CommandKind, actor: Actor, label: str) -> CommandRow:
        now_us = self._clock.now_us()
        return CommandRow(
            command_id=new_id(now_us),
            organisation_id=organisation_id,
            site_id=site_id,
            kind=kind,
            unit_id=None,
            label=label,
            miner_id=None,
            customer_id=None,
            asked_us=now_us,
            asked_by=actor.name,
            expires_us=now_us + EXPIRES_S * US_PER_S,
            state=CommandState.ASKED,
            code=None,
            detail="",
            ended_us=None,
        )

    async def _keep(self, tx: Transaction, rows: Sequence[CommandRow]) -> None:
        for site_id in {row.site_id for row in rows}:
            new = sum(1 for row in rows if row.site_id == site_id)
            waiting = await tx.commands.open(rows[0].organisation_id, site_id, self._clock.now_us())
            if len(waiting) + new > MAX_OPEN_PER_SITE:
                raise RateLimitedError(retry_after_s=60)
        await tx.commands.add(rows)
        for site_id in {row.site_id for row in rows}:
            await tx.desired.bump(rows[0].organisation_id, site_id)

    async def _record(self, tx: Transaction, actor: Actor, row: CommandRow, text: str) -> None:
        await activity.record(
            tx,
            self._clock.now_us(),
            row.organisation_id,
            actor,
            f"command.{row.kind}",
            text,
            customer_id=row.customer_id,
            object_kind="unit" if row.unit_id else "site",
            object_id=row.unit_id or row.site_id,
        )


async def open_tasks(tx: Transaction, now_us: int, organisation_id: str, site_id: str) -> list[Task]:
    """What waits for this site's agent."""
    return [_task(row) for row in await tx.commands.open(organisation_id, site_id, now_us)]


def _task(row: CommandRow) -> Task:
    if row.kind is CommandKind.ASSIGN_POOLS:
        arguments: dict[str, str | int | float | bool] = {
            "customer_id": row.customer_id or "",
            "actor": row.asked_by[:100],
        }
        kind = TASK_ASSIGN_POOLS
    elif row.kind is CommandKind.REBOOT:
        arguments, kind = {}, TASK_REBOOT
    else:
        arguments, kind = {"on": row.kind is CommandKind.LIGHT_ON}, TASK_LED
    return Task(
        task_id=row.command_id,
        kind=kind,
        miner_id=row.miner_id,
        arguments=arguments,
        expires_at_us=row.expires_us,
    )
