"""Commands to miners: light, restart, and the pools that are recorded on site for a customer."""

from typing import Annotated, Final

from pydantic import Field

from hashyard_cloud.errors import NotFoundError
from hashyard_cloud.services.api_tokens import Area
from hashyard_cloud.services.commands import MAX_UNITS_PER_COMMAND
from hashyard_cloud.services.ports.commands import CommandKind, CommandRow, CommandState
from hashyard_cloud.web.api.v1 import paging
from hashyard_cloud.web.api.v1.operations import Call, Feature, Operation
from hashyard_cloud.web.api.v1.types import Answer, Body, Id, Page, PageQuery
from hashyard_cloud.web.pages import FLOOR, STAFF


class Command(Answer):
    """A command to one miner, or for one customer's machines at a site. `done` means that the agent saw it."""

    command_id: str
    site_id: str
    kind: CommandKind
    unit_id: str | None
    customer_id: str | None
    label: str
    asked_at: str
    asked_by: str
    expires_at: str
    state: CommandState
    code: str | None
    detail: str
    ended_at: str | None


class Commands(Answer):
    """What was asked, one for each unit."""

    items: list[Command]


class CommandsQuery(PageQuery):
    """Which commands."""

    unit_id: Id | None = None
    customer_id: Id | None = None


class UnitCommandBody(Body):
    """`light-on`, `light-off` or `reboot`, of all these units or of none."""

    kind: CommandKind
    unit_ids: Annotated[list[Id], Field(min_length=1, max_length=MAX_UNITS_PER_COMMAND)]


class AssignPoolsBody(Body):
    """The site that writes the pools recorded there."""

    site_id: Id


def _command(row: CommandRow, now_us: int) -> Command:
    return Command.of(row, state=row.state_at(now_us))


async def list_commands(call: Call, query: CommandsQuery) -> Page[Command]:
    """Commands, newest first."""
    before = None if query.cursor is None else str(paging.decode(query.cursor, [str])[0])
    async with call.database.reading() as tx:
        rows = await tx.commands.newest(
            call.org, query.limit, unit_id=query.unit_id, customer_id=query.customer_id, before_id=before
        )
    following = paging.encode((rows[-1].command_id,)) if len(rows) == query.limit else None
    return Page[Command](items=[_command(row, call.now_us) for row in rows], next_cursor=following)


async def get_command(call: Call) -> Command:
    """One command and what became of it."""
    async with call.database.reading() as tx:
        row = await tx.commands.get(call.org, call.ids["command_id"])
    if row is None:
        raise NotFoundError
    return _command(row, call.now_us)


async def ask_units(call: Call, body: UnitCommandBody) -> Commands:
    """Ask the same of several units."""
    async with call.database.transaction() as tx:
        rows = await call.built.commands.ask(tx, call.org, call.actor, body.kind, body.unit_ids)
    return Commands(items=[_command(row, call.now_us) for row in rows])


async def assign_customer_pools(call: Call, body: AssignPoolsBody) -> Command:
    """Have a site write a customer's pools as they are recorded there; no pool is ever sent."""
    async with call.database.transaction() as tx:
        row = await call.built.commands.ask_pools(tx, call.org, call.actor, call.ids["customer_id"], body.site_id)
    return _command(row, call.now_us)


_COMMANDS: Final = Feature(Area.EQUIPMENT)
OPERATIONS: Final[tuple[Operation, ...]] = (
    _COMMANDS.read("/commands", list_commands, STAFF),
    _COMMANDS.add("/commands", ask_units, FLOOR),
    _COMMANDS.read("/commands/{command_id}", get_command, STAFF),
    _COMMANDS.act("/customers/{customer_id}/pools/assign", assign_customer_pools, FLOOR),
)
