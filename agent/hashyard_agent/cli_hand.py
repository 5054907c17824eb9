"""What a technician's command needs to be carried out: by the running agent, or by the same machinery here.

While the agent runs, a command is left in its store and carried out by it; so nobody else talks to a miner that it
is talking to. While it does not, the machinery runs in the command itself until the units have arrived.
"""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from getpass import getuser
from typing import Any, Final

import typer

from hashyard_agent.adapters.enforcement_store import SqliteEnforcementStore, is_owned
from hashyard_agent.adapters.files import hand_over
from hashyard_agent.adapters.fleet_file import FleetFile
from hashyard_agent.adapters.outbox import SqliteOutbox
from hashyard_agent.desired import read_desired
from hashyard_agent.enforcement.model import Step, UnitRow
from hashyard_agent.errors import RefusedError, SettingsError
from hashyard_agent.hand_commands import BEGUN
from hashyard_agent.settings import Settings
from hashyard_shared.clock import SystemClock
from hashyard_shared.errors import ErrorCode
from hashyard_shared.events import UnitPhase
from hashyard_shared.ids import MalformedIdError, normalise_mac
from hashyard_shared.orders import OrderKind
from hashyard_shared.protocol import DesiredState

TAKEN_TIMEOUT_S: Final = 15.0
LOOK_EVERY_S: Final = 0.5
EXIT_NOT_THERE: Final = 1


def order(
    settings: Settings, kind: str, macs: Sequence[str], more: dict[str, Any], wait_s: float, goal: UnitPhase
) -> None:
    """Order each of these miners somewhere, and tell how far they came; exits with 1 unless all arrived."""
    commands = [{"mac": mac} | more for mac in macs]
    found = asyncio.run(carry_out(settings, kind, commands, macs, wait_s, goal))
    tell(found, macs, goal)


def tell(found: Sequence[UnitRow], macs: Sequence[str], goal: UnitPhase) -> None:
    """A line for each; exits with 1 unless all arrived."""
    arrived = [row for row in found if _arrived(row, goal)]
    for row in found:
        code = f" ({row.code}: {row.detail})" if row.code else ""
        typer.echo(f"{row.label or row.mac}: {row.phase}, level {row.level}{code}")
    if len(arrived) < len(macs):
        typer.echo(f"{len(arrived)} of {len(macs)} confirmed so far; the agent goes on while it runs.", err=True)
        raise typer.Exit(EXIT_NOT_THERE)


def by_agent(
    settings: Settings,
    kind: str,
    commands: Sequence[dict[str, Any]],
    wait_s: float,
    told: Callable[[str, str], None],
) -> bool:
    """Have the running agent carry these out; False when none runs here. `told` gets each result as it comes.

    The result is what the agent wrote, "" for a command that it did not end within `wait_s`.
    """
    path = settings.store.enforcement_file
    if not is_owned(path):
        return False
    store = SqliteEnforcementStore(path, owner=False)
    try:
        now_us, actor = SystemClock().now_us(), getuser()
        waiting = {store.add_command(now_us, actor, kind, each): str(each["ip"]) for each in commands}
        asyncio.run(_told(store, waiting, wait_s, told))
    finally:
        store.close()
        hand_over(settings.store.path)
    return True


async def _told(
    store: SqliteEnforcementStore, waiting: dict[int, str], wait_s: float, told: Callable[[str, str], None]
) -> None:
    try:
        async with asyncio.timeout(wait_s):
            while waiting:
                for number in list(waiting):
                    result = store.command_result(number)
                    if result not in {None, BEGUN}:
                        told(waiting.pop(number), result or "")
                await asyncio.sleep(LOOK_EVERY_S)
    except TimeoutError:
        for ip in waiting.values():
            told(ip, "")


def leave(settings: Settings, kind: str, commands: Sequence[dict[str, Any]]) -> None:
    """Have commands taken that are done once they are taken."""
    asyncio.run(carry_out(settings, kind, commands, (), 0, UnitPhase.CUSTOMER))


async def carry_out(
    settings: Settings,
    kind: str,
    commands: Sequence[dict[str, Any]],
    macs: Sequence[str],
    wait_s: float,
    goal: UnitPhase,
) -> list[UnitRow]:
    """Put commands into the store and see to it that they are taken: by the running agent, or here."""
    path = settings.store.enforcement_file
    async with AsyncExitStack() as stack:
        running = is_owned(path)
        store = SqliteEnforcementStore(path, owner=False)
        # Last of all: what root made in the agent's folder goes to the agent's user.
        stack.callback(hand_over, settings.store.path)
        stack.callback(store.close)
        now_us, actor = SystemClock().now_us(), getuser()
        numbers = [store.add_command(now_us, actor, kind, arguments) for arguments in commands]
        if not running:
            await _enforce_here(settings, macs, stack)
        await _answered(store, numbers)
        return await _follow(settings, macs, wait_s, goal)


async def _enforce_here(settings: Settings, macs: Sequence[str], stack: AsyncExitStack) -> None:
    from hashyard_agent import enforcement_parts  # noqa: PLC0415 - heavy, and only needed without an agent

    enforcer = await enforcement_parts.build_alone(settings, SystemClock(), macs, stack)
    task = asyncio.create_task(enforcer.run())

    async def ended() -> None:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    stack.push_async_callback(ended)


async def _answered(store: SqliteEnforcementStore, numbers: Sequence[int]) -> None:
    """Another process answers through the file, so it can only be looked at again and again."""
    try:
        async with asyncio.timeout(TAKEN_TIMEOUT_S):
            while any(store.command_result(number) is None for number in numbers):  # noqa: ASYNC110 - as the docstring says
                await asyncio.sleep(LOOK_EVERY_S)
    except TimeoutError as error:
        raise RefusedError(
            ErrorCode.UNAVAILABLE, "nobody took the command; is the agent held up? See: hashyard-agent status"
        ) from error
    refused = [text for number in numbers if (text := store.command_result(number) or "").startswith("refused")]
    if refused:
        raise RefusedError(ErrorCode.CONFLICT, "; ".join(dict.fromkeys(refused)))


async def _follow(settings: Settings, macs: Sequence[str], wait_s: float, goal: UnitPhase) -> list[UnitRow]:
    """Watch the running agent's state until all have arrived or the time is over."""
    found: list[UnitRow] = []
    try:
        async with asyncio.timeout(wait_s):
            while True:
                found = [row for row in rows(settings) if row.mac in macs]
                if len(found) == len(macs) and all(_arrived(row, goal) for row in found):
                    return found
                await asyncio.sleep(LOOK_EVERY_S)
    except TimeoutError:
        return found


def _arrived(row: UnitRow, goal: UnitPhase) -> bool:
    if goal is UnitPhase.RESTORED and row.to_recorded and row.goal is OrderKind.REDIRECT:
        # Redirected: the recorded pools are where it comes back to, and that is all there is to do now.
        return True
    return row.phase is goal and row.step in {Step.HELD, Step.IDLE, Step.PROVING}


# -- looking -------------------------------------------------------------------------------------


def reader(settings: Settings) -> SqliteEnforcementStore:
    """The durable state, to look at. Errors: `StoreError`."""
    return SqliteEnforcementStore(settings.store.enforcement_file, read_only=True)


def rows(settings: Settings) -> list[UnitRow]:
    """Every unit that enforcement touched. Errors: `StoreError`."""
    store = reader(settings)
    try:
        return store.units()
    finally:
        store.close()


@dataclass(frozen=True, slots=True)
class _Known:
    macs_by_ip: dict[str, str]
    macs_by_label: dict[str, str]


def macs_of(settings: Settings, names: Sequence[str]) -> list[str]:
    """The MACs that are meant. Errors: `SettingsError` that names what is not known."""
    known = _known(settings)
    found: dict[str, None] = {}
    for name in names:
        mac = known.macs_by_ip.get(name) or known.macs_by_label.get(name.lower())
        if mac is None:
            try:
                mac = normalise_mac(name)
            except MalformedIdError as error:
                raise SettingsError(
                    f"{name!r} is no known address or label, and no MAC; see: hashyard-agent scan"
                ) from error
        found[mac] = None
    return list(found)


def _known(settings: Settings) -> _Known:
    by_ip = {
        miner.ip: miner.identity.mac for miner in FleetFile(settings.store.fleet_file).load() if miner.identity.mac
    }
    document = known_document(settings)
    by_label = {unit.label.lower(): normalise_mac(unit.mac) for unit in document.units} if document else {}
    return _Known(by_ip, by_label)


def known_document(settings: Settings) -> DesiredState | None:
    """What the cloud last said of this site. Errors: `StoreError`."""
    store = settings.store
    outbox = SqliteOutbox(
        store.outbox_file, max_bytes=store.max_bytes, headroom_bytes=0, clock=SystemClock(), read_only=True
    )
    try:
        return read_desired(outbox)
    finally:
        outbox.close()
