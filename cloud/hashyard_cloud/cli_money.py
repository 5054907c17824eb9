"""`hashyard-cloud invoice | payment | holding-pool | redirect-switch | hashprice`."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Annotated, Final, TypeVar

import typer

from hashyard_cloud import app_enforcement
from hashyard_cloud import settings as settings_module
from hashyard_cloud.adapters.secret_box import AesSecretBox
from hashyard_cloud.app import open_database
from hashyard_cloud.domain.dunning import duration_s
from hashyard_cloud.domain.money import Money
from hashyard_cloud.errors import ConflictError, MalformedError, NotFoundError
from hashyard_cloud.services import hashprices, invoices
from hashyard_cloud.services.enforcement import Enforcement
from hashyard_cloud.services.ports.activity import Actor
from hashyard_cloud.services.ports.contracts import ContractRow
from hashyard_cloud.services.ports.customers import CustomerRow
from hashyard_cloud.services.ports.database import Database, Transaction
from hashyard_cloud.services.ports.invoices import InvoiceRow
from hashyard_cloud.services.ports.organisations import OrganisationRow
from hashyard_shared.clock import Clock, SystemClock, iso
from hashyard_shared.ids import new_id

T = TypeVar("T")
CLI: Final = Actor("cli", "command line")

ConfigOption = Annotated[Path | None, typer.Option("--config", "-c", help="TOML file; else $HASHYARD_CONFIG.")]
HostOption = Annotated[str, typer.Option("--host-name", help="The host's name, slug or id, if there are several.")]
CustomerOption = Annotated[str, typer.Option("--customer", help="The customer's name, e-mail or id.")]

invoice_cli = typer.Typer(no_args_is_help=True, help="Invoices.")
payment_cli = typer.Typer(no_args_is_help=True, help="Payments.")
pool_cli = typer.Typer(no_args_is_help=True, help="Holding pools.")
hashprice_cli = typer.Typer(no_args_is_help=True, help="The hashprice series.")


@dataclass(frozen=True, slots=True)
class Office:
    """What a command works with."""

    database: Database
    clock: Clock
    built: Enforcement


def run(config: Path | None, work: Callable[[Office], Awaitable[T]]) -> T:
    """Open the stores, do one piece of work, close them."""

    async def inner() -> T:
        async with _office(config) as office:
            return await work(office)

    return asyncio.run(inner())


@asynccontextmanager
async def _office(config: Path | None) -> AsyncIterator[Office]:
    settings = settings_module.load(config)
    clock = SystemClock()
    database = await open_database(settings)
    try:
        box = AesSecretBox.from_file(settings.master_key_path)
        yield Office(database, clock, app_enforcement.enforcement(settings, clock, box))
    finally:
        await database.close()


async def host_of(tx: Transaction, name: str) -> OrganisationRow:
    """The host meant; without a name the only one there is."""
    rows = await tx.organisations.all()
    if name:
        rows = [row for row in rows if name in {row.organisation_id, row.name, row.slug}]
    if len(rows) != 1:
        known = ", ".join(row.name for row in await tx.organisations.all()) or "none yet"
        raise MalformedError(f"Say which host with --host-name; there are: {known}.", field="host")
    return rows[0]


async def customer_of(tx: Transaction, organisation_id: str, name: str) -> CustomerRow:
    """The customer meant by name, e-mail or id."""
    rows = await tx.customers.all(organisation_id)
    found = [row for row in rows if name in {row.customer_id, row.name, row.email, row.company}]
    if len(found) != 1:
        raise NotFoundError(f"There is no single customer {name!r}; give the id or the e-mail address.")
    return found[0]


async def contract_of(tx: Transaction, customer: CustomerRow, number: str) -> ContractRow:
    """The contract with this number, or the only one of the customer."""
    rows = await tx.contracts.all(customer.organisation_id, customer.customer_id)
    found = [row for row in rows if number in {"", row.number, row.contract_id}]
    if len(found) != 1:
        numbers = ", ".join(row.number for row in rows) or "none yet"
        raise MalformedError(f"Say which contract with --contract; there are: {numbers}.", field="contract")
    return found[0]


@invoice_cli.command("create")
def create_invoice(
    customer: CustomerOption,
    amount: Annotated[str, typer.Option(help="The unit price, as 1250.00.")],
    description: Annotated[str, typer.Option(help="What it is for.")] = "Hosting",
    quantity: Annotated[str, typer.Option(help="How many.")] = "1",
    unit: Annotated[str, typer.Option(help="Of what, such as kWh.")] = "",
    contract: Annotated[str, typer.Option(help="Contract number; needed if there are several.")] = "",
    issue: Annotated[bool, typer.Option("--issue/--draft", help="Issue it at once.")] = True,
    due: Annotated[str, typer.Option(help="Due after 15 d, 2 min; else as the contract says.")] = "",
    host: HostOption = "",
    config: ConfigOption = None,
) -> None:
    """Draft an invoice, and issue it."""

    async def work(office: Office) -> str:
        async with office.database.transaction() as tx:
            organisation = await host_of(tx, host)
            owner = await customer_of(tx, organisation.organisation_id, customer)
            agreed = await contract_of(tx, owner, contract)
            now_us = office.clock.now_us()
            version = await tx.contracts.version_at(owner.organisation_id, agreed.contract_id, now_us)
            if version is None:
                raise ConflictError(f"Contract {agreed.number} has no terms yet.")
            line = invoices.LineInput(description, _decimal(quantity), unit, Money.parse(amount, version.currency))
            row = await invoices.draft(tx, now_us, owner.organisation_id, CLI, agreed.contract_id, [line])
            if issue:
                due_s = duration_s(due) if due else None
                row = await invoices.issue(tx, now_us, owner.organisation_id, CLI, row.invoice_id, due_s)
            total = Money(row.total_micro, row.currency).text()
            until = f", due {iso(row.due_us)}" if row.due_us is not None else ""
            return f"{row.number} {row.state.label.lower()}: {total}{until}"

    typer.echo(run(config, work))


@invoice_cli.command("list")
def list_invoices(host: HostOption = "", config: ConfigOption = None) -> None:
    """All invoices with what is open on them."""

    async def work(office: Office) -> list[str]:
        async with office.database.reading() as tx:
            organisation_id = (await host_of(tx, host)).organisation_id
            names = {row.customer_id: row.name for row in await tx.customers.all(organisation_id)}
            opened = await tx.ledger.open_by_invoice(organisation_id)
            lines = []
            for row in await tx.invoices.all(organisation_id):
                still_open = Money(opened.get(row.invoice_id, 0), row.currency).text()
                state, name = row.state.label, names[row.customer_id]
                lines.append(f"{row.number}  {state:<11}  {still_open:>16} open  {name}")
            return lines

    for line in run(config, work):
        typer.echo(line)


@payment_cli.command("record")
def record_payment(
    amount: Annotated[str, typer.Option(help="As 1250.00, or `all` for everything that is left to pay.")],
    customer: Annotated[str, typer.Option(help="The customer's name, e-mail or id; else --invoice.")] = "",
    invoice: Annotated[str, typer.Option(help="Pay this invoice; else the oldest first.")] = "",
    currency: Annotated[str, typer.Option(help="Else the invoice's or the customer's.")] = "",
    key: Annotated[str, typer.Option(help="Idempotency key: the same key is recorded once.")] = "",
    method: Annotated[str, typer.Option(help="How it was paid.")] = "transfer",
    host: HostOption = "",
    config: ConfigOption = None,
) -> None:
    """Record a payment. What it cures is given back in the same step."""

    async def work(office: Office) -> str:
        async with office.database.transaction() as tx:
            organisation_id = (await host_of(tx, host)).organisation_id
            owner, named = await _payer(tx, organisation_id, customer, invoice)
            in_currency = currency or (named.currency if named else owner.currency)
            payments = office.built.payments
            everything = amount.strip().lower() == "all"
            paid = await payments.owed(tx, owner, in_currency) if everything else Money.parse(amount, in_currency)
            done = await payments.record(
                tx,
                organisation_id,
                CLI,
                owner.customer_id,
                paid,
                key or new_id(office.clock.now_us()),
                method=method,
                invoice_ids=[named.invoice_id] if named else None,
            )
            rest = f", {done.allocation.left.text()} credit" if done.allocation.left.positive else ""
            ended = f", {done.cases_ended} default cases cured" if done.cases_ended else ""
            again = " (recorded before)" if done.repeated else ""
            return f"payment of {paid.text()} recorded{again}: {len(done.allocation.parts)} invoices{rest}{ended}"

    typer.echo(run(config, work))


async def _payer(
    tx: Transaction, organisation_id: str, customer: str, invoice: str
) -> tuple[CustomerRow, InvoiceRow | None]:
    if not invoice:
        return await customer_of(tx, organisation_id, customer), None
    row = await tx.invoices.by_number(organisation_id, invoice) or await tx.invoices.get(organisation_id, invoice)
    if row is None:
        raise NotFoundError(f"There is no invoice {invoice!r}.")
    return await customer_of(tx, organisation_id, customer or row.customer_id), row


@pool_cli.command("add")
def add_pool(
    reference: Annotated[str, typer.Option(help="A short name: letters, digits, hyphens.")],
    url: Annotated[str, typer.Option(help="stratum+tcp://host:port")],
    worker: Annotated[str, typer.Option(help="Worker or wallet; {unit} stands for the unit's label.")],
    password: Annotated[str, typer.Option(help="The pool's password.")] = "x",  # noqa: S107 - what pools ignore
    host: HostOption = "",
    config: ConfigOption = None,
) -> None:
    """Add a holding pool. A technician pins it on site before it can be used there."""

    async def work(office: Office) -> str:
        async with office.database.transaction() as tx:
            organisation_id = (await host_of(tx, host)).organisation_id
            row = await office.built.pools.add(
                tx, organisation_id, CLI, reference=reference, url=url, worker=worker, password=password
            )
            return f"holding pool {row.reference}: {row.url}, worker {row.worker}"

    typer.echo(run(config, work))


def redirect_switch(
    position: Annotated[str, typer.Argument(help="on or off")],
    reason: Annotated[str, typer.Option(help="Why; it is part of the record.")] = "",
    host: HostOption = "",
    config: ConfigOption = None,
) -> None:
    """Switch redirects on or off for the whole organisation. Off gives back what is redirected."""
    if position not in {"on", "off"}:
        raise MalformedError("Say on or off.", field="position")

    async def work(office: Office) -> str:
        async with office.database.transaction() as tx:
            organisation_id = (await host_of(tx, host)).organisation_id
            await office.built.freezes.set_switch(
                tx, organisation_id, CLI, enabled=position == "on", reason=reason
            )
            return f"redirect switch is {position}"

    typer.echo(run(config, work))


@hashprice_cli.command("set")
def set_hashprice(
    price: Annotated[str, typer.Argument(help="Per TH/s and day, as 0.053.")],
    day: Annotated[str, typer.Option(help="The UTC day it holds from, as 2026-03-18; else today.")] = "",
    currency: Annotated[str, typer.Option(help="Its currency.")] = "USD",
    source: Annotated[str, typer.Option(help="Who says so.")] = "configured",
    host: HostOption = "",
    config: ConfigOption = None,
) -> None:
    """Set the hashprice that holds from a day on."""

    async def work(office: Office) -> str:
        async with office.database.transaction() as tx:
            organisation_id = (await host_of(tx, host)).organisation_id
            row = await hashprices.put(
                tx, office.clock.now_us(), organisation_id, CLI, Money.parse(price, currency), day, source
            )
            return f"hashprice of {row.day}: {price} {currency} per TH/s and day ({row.source})"

    typer.echo(run(config, work))


@hashprice_cli.command("import")
def import_hashprices(
    file: Annotated[Path, typer.Argument(help="CSV with the columns day and price.", exists=True, dir_okay=False)],
    currency: Annotated[str, typer.Option(help="Its currency.")] = "USD",
    source: Annotated[str, typer.Option(help="Who says so; else the file's name.")] = "",
    host: HostOption = "",
    config: ConfigOption = None,
) -> None:
    """Import a hashprice series."""

    async def work(office: Office) -> str:
        async with office.database.transaction() as tx:
            organisation_id = (await host_of(tx, host)).organisation_id
            count = await hashprices.import_csv(
                tx,
                office.clock.now_us(),
                organisation_id,
                CLI,
                file.read_bytes(),
                currency,
                source or file.name,
            )
            return f"{count} days imported"

    typer.echo(run(config, work))


def add_to(cli: typer.Typer) -> None:
    """Put these commands on the service's command line."""
    cli.add_typer(invoice_cli, name="invoice")
    cli.add_typer(payment_cli, name="payment")
    cli.add_typer(pool_cli, name="holding-pool")
    cli.add_typer(hashprice_cli, name="hashprice")
    cli.command("redirect-switch")(redirect_switch)


def _decimal(text: str) -> Decimal:
    try:
        return Decimal(text)
    except InvalidOperation as error:
        raise MalformedError(f"{text!r} is not a number.", field="quantity") from error
