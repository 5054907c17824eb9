"""`pools`: customers' pools with their passwords, recorded on site; assigned, they are written at once."""

import asyncio
from collections.abc import Callable
from getpass import getuser
from typing import Annotated, Final

import typer

from hashyard_agent.adapters.site_trust import TrustFiles, save_recorded
from hashyard_agent.cli_hand import carry_out, known_document, macs_of, tell
from hashyard_agent.cli_trust import ConfigOption, PasswordOption, masked, report
from hashyard_agent.errors import SettingsError
from hashyard_agent.settings import Settings, load
from hashyard_agent.trust import RecordedCustomer, RecordedPool, RecordedPools
from hashyard_shared.clock import SystemClock
from hashyard_shared.events import UnitPhase
from hashyard_shared.ids import normalise_mac

WAIT_S: Final = 120.0

pools_app = typer.Typer(help="Customers' pools with their passwords, recorded on site.", no_args_is_help=True)

WaitOption = Annotated[float, typer.Option("--wait", min=0, help="Seconds to wait until they are written.")]


@pools_app.command("record")
def record(
    customer: Annotated[str, typer.Argument(help="The customer's id, as the cloud shows it.")],
    url: Annotated[str, typer.Argument()],
    worker: Annotated[str, typer.Argument(help="account.{unit}: {unit} becomes the unit's label.")],
    password: PasswordOption,
    name: Annotated[str, typer.Option(help="The customer's name, for people.")] = "",
    anew: Annotated[bool, typer.Option("--anew", help="In place of all that is recorded for him.")] = False,
    wait: WaitOption = WAIT_S,
    config: ConfigOption = None,
) -> None:
    """Record one more pool of a customer, in the order of his slots; once assigned, it is written at once."""
    pool = RecordedPool(url=url, worker=worker, password=password)
    settings = load(config)
    old = _recorded(settings).customer(customer)
    now_us = SystemClock().now_us()
    kept = old.pools if old is not None and not anew else ()
    assigned = old is not None and old.assigned_at_us is not None
    entry = RecordedCustomer(
        customer_id=customer,
        name=name or (old.name if old else ""),
        pools=(*(known for known in kept if (known.url, known.worker) != (url, worker)), pool),
        recorded_at_us=now_us,
        recorded_by=getuser(),
        assigned_at_us=now_us if assigned else None,
    )
    _change(settings, "pools-recorded", customer, lambda recorded: _with_customer(recorded, entry))
    if assigned:
        report(settings, "pools-assigned", customer)
        _write(settings, customer, (), wait)


@pools_app.command("assign")
def assign(
    customer: Annotated[str, typer.Argument()],
    unit: Annotated[
        list[str] | None,
        typer.Option(help="Only these (MAC, IP, label); also one that changed hands while redirected."),
    ] = None,
    wait: WaitOption = WAIT_S,
    config: ConfigOption = None,
) -> None:
    """Write the recorded pools to the customer's units now; those that are redirected come back to them."""
    settings = load(config)

    def change(recorded: RecordedPools) -> RecordedPools:
        old = recorded.customer(customer)
        if old is None:
            raise SettingsError(f"nothing is recorded for {customer}; use: hashyard-agent pools record")
        return _with_customer(recorded, old.model_copy(update={"assigned_at_us": SystemClock().now_us()}))

    _change(settings, "pools-assigned", customer, change)
    _write(settings, customer, tuple(unit or ()), wait)


@pools_app.command("forget")
def forget(customer: Annotated[str, typer.Argument()], config: ConfigOption = None) -> None:
    """Remove what is recorded for a customer. Miners keep what they have."""

    def change(recorded: RecordedPools) -> RecordedPools:
        kept = tuple(entry for entry in recorded.customers if entry.customer_id != customer)
        return recorded.model_copy(update={"customers": kept})

    _change(load(config), "pools-forgotten", customer, change)


@pools_app.command("list")
def list_pools(config: ConfigOption = None) -> None:
    """Show what is recorded; never a password."""
    for entry in _recorded(load(config)).customers:
        typer.echo(f"{entry.customer_id}  {entry.name}{'  assigned' if entry.assigned_at_us else ''}")
        for pool in entry.pools:
            typer.echo(f"  {pool.url} as {pool.worker}, password {masked(pool.password)}")


def _write(settings: Settings, customer: str, names: tuple[str, ...], wait_s: float) -> None:
    """Have the customer's units written, and tell each; exits with 1 unless all are proven."""
    named = macs_of(settings, names)
    document = known_document(settings)
    units = document.units if document else []
    macs = named or [normalise_mac(unit.mac) for unit in units if unit.customer_id == customer]
    if not macs:
        typer.echo(f"No unit of {customer} is known here yet; the pools are kept for those that come.")
        return
    arguments = {"customer": customer, "macs": named}
    found = asyncio.run(carry_out(settings, "assign", [arguments], macs, wait_s, UnitPhase.RESTORED))
    tell(found, macs, UnitPhase.RESTORED)


def _recorded(settings: Settings) -> RecordedPools:
    return TrustFiles(settings.enforcement.trust_file, settings.recorded_pools_file).recorded()


def _change(
    settings: Settings, control: str, value: str, change: Callable[[RecordedPools], RecordedPools]
) -> None:
    save_recorded(settings.recorded_pools_file, change(_recorded(settings)))
    report(settings, control, value)


def _with_customer(recorded: RecordedPools, entry: RecordedCustomer) -> RecordedPools:
    others = tuple(known for known in recorded.customers if known.customer_id != entry.customer_id)
    return RecordedPools(customers=(*others, entry))
