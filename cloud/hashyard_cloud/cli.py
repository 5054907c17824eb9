"""`hashyard-cloud`: the command line."""

import asyncio
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated

import typer
from aiohttp import web

from hashyard_cloud import cli_backup, cli_evidence, cli_keys, cli_money, cli_snapshots, cli_upkeep
from hashyard_cloud import settings as settings_module
from hashyard_cloud.adapters.secret_box import AesSecretBox
from hashyard_cloud.app import build, open_database
from hashyard_cloud.errors import CloudError, MalformedError, NotFoundError, PortInUseError, StartError
from hashyard_cloud.services import users
from hashyard_cloud.services.enrolment import CODE_LIFETIME_S, Enrolment
from hashyard_cloud.services.holding_pools import HoldingPoolBook
from hashyard_cloud.services.ports.organisations import OrganisationRow
from hashyard_cloud.services.ports.sites import SiteRow
from hashyard_cloud.services.signing_keys import SigningKeys
from hashyard_cloud.settings import Settings
from hashyard_cloud.storage.database import SqlDatabase
from hashyard_shared.clock import SystemClock, iso
from hashyard_shared.signing import grouped

cli = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
cli_money.add_to(cli)
cli_keys.add_to(cli)
cli_evidence.add_to(cli)
cli_snapshots.add_to(cli)
cli_backup.add_to(cli)
cli_upkeep.add_to(cli)
ConfigOption = Annotated[Path | None, typer.Option("--config", "-c", help="TOML file; else $HASHYARD_CONFIG.")]
HostOption = Annotated[str | None, typer.Option("--host-name", help="Which host, where there are several.")]
MAX_PASSWORD_FILE_BYTES = 4_096


@cli.callback()
def root() -> None:
    """The Hashyard cloud service."""


@cli.command()
def serve(
    agents_only: Annotated[bool, typer.Option(help="Serve agents without the pages for people.")] = False,
    config: ConfigOption = None,
) -> None:
    """Run the service until SIGINT or SIGTERM."""
    asyncio.run(_serve(settings_module.load(config), pages=not agents_only))


@cli.command()
def create_host(
    name: Annotated[str, typer.Argument(help="The host's name.")],
    email: Annotated[str, typer.Option(help="The first owner's e-mail address.")],
    owner: Annotated[str, typer.Option(help="The first owner's name.")] = "Owner",
    password_file: Annotated[
        str | None, typer.Option(help="A file with the password, - for standard input; asked for otherwise.")
    ] = None,
    currency: Annotated[str, typer.Option(help="ISO currency.")] = "USD",
    timezone: Annotated[str, typer.Option(help="IANA time zone.")] = "UTC",
    config: ConfigOption = None,
) -> None:
    """Create a host (an organisation) with its first owner and its signing key."""
    password = _password(password_file)
    asyncio.run(_create_host(settings_module.load(config), name, email, owner, password, currency, timezone))


@cli.command()
def enroll_code(
    site: Annotated[str, typer.Argument(help="The site's name, code or id.")],
    host: HostOption = None,
    config: ConfigOption = None,
) -> None:
    """Make a one-time code that enrols an agent at a site."""
    asyncio.run(_enroll_code(settings_module.load(config), site, host))


async def _serve(settings: Settings, *, pages: bool) -> None:
    listening = _bind(settings)
    runner = web.AppRunner(build(settings, pages=pages), handle_signals=False, shutdown_timeout=SHUTDOWN_TIMEOUT_S)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    try:
        await runner.setup()
        await web.SockSite(runner, listening).start()
        typer.echo(f"hashyard-cloud is ready at {settings.base_url}")
        await stop.wait()
    finally:
        await runner.cleanup()
        listening.close()


def _bind(settings: Settings) -> socket.socket:
    """Take the address before anything is opened, so that a second start fails at once and clearly."""
    try:
        family = socket.getaddrinfo(settings.host, settings.port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((settings.host, settings.port), family=family, backlog=LISTEN_BACKLOG)
    except OSError as error:
        raise PortInUseError(
            f"cannot listen on {settings.host}:{settings.port}: {error.strerror}; set host and port"
        ) from error


LISTEN_BACKLOG = 512
SHUTDOWN_TIMEOUT_S = 2.0
"""Long-polls are cut when the service stops; agents come back by themselves."""


async def _create_host(
    settings: Settings, name: str, email: str, owner: str, password: str, currency: str, timezone: str
) -> None:
    clock = SystemClock()
    async with _stores(settings) as (database, signer):
        host = await users.create_host(
            database,
            clock,
            name=name,
            owner_email=email,
            owner_name=owner,
            password=password,
            currency=currency,
            timezone=timezone,
        )
        async with database.transaction() as tx:
            current, *_ = await signer.ensure(tx, host.organisation_id)
    typer.echo(f"host {host.name} ({host.organisation_id})")
    typer.echo(f"signing key {grouped(current.fingerprint)}")
    typer.echo(f"sign in as {email} at {settings.base_url}")


async def _enroll_code(settings: Settings, site: str, host: str | None) -> None:
    clock = SystemClock()
    async with _stores(settings) as (database, signer):
        box = AesSecretBox.from_file(settings.master_key_path)
        organisation, found = await _find_site(database, site, host)
        enrolment = Enrolment(database, clock, signer, HoldingPoolBook(box, clock))
        minted = await enrolment.mint_code(organisation.organisation_id, found.site_id, "command line")
    typer.echo(str(minted.code))
    typer.echo(
        f"for one agent at {minted.site_name}, until {iso(minted.expires_at_us)} ({CODE_LIFETIME_S // 60} min);"
        f" on the rack host: hashyard-agent enroll --cloud-url {settings.base_url} --code <code>",
        err=True,
    )


async def _find_site(database: SqlDatabase, wanted: str, host: str | None) -> tuple[OrganisationRow, SiteRow]:
    async with database.reading() as tx:
        found = [
            (organisation, site)
            for organisation in await tx.organisations.all()
            if host is None or host in {organisation.name, organisation.organisation_id}
            for site in await tx.sites.all(organisation.organisation_id)
            if wanted in {site.name, site.code, site.site_id}
        ]
    if not found:
        raise NotFoundError(f"there is no site {wanted!r}; sites are added on the Sites page", field="site")
    if len(found) > 1:
        raise MalformedError(f"several sites are called {wanted!r}; give its id, or --host-name", field="site")
    return found[0]


@asynccontextmanager
async def _stores(settings: Settings) -> AsyncIterator[tuple[SqlDatabase, SigningKeys]]:
    """The relational store and the signer, for a command beside a running service."""
    database = await open_database(settings)
    try:
        yield database, SigningKeys(AesSecretBox.from_file(settings.master_key_path), SystemClock())
    finally:
        await database.close()


def _password(password_file: str | None) -> str:
    if password_file is None:
        return str(typer.prompt("Password", hide_input=True, confirmation_prompt=True))
    try:
        if password_file == "-":  # noqa: S105 - a file name
            text = sys.stdin.read(MAX_PASSWORD_FILE_BYTES)
        else:
            with Path(password_file).open(encoding="utf-8") as file:
                text = file.read(MAX_PASSWORD_FILE_BYTES)
    except OSError as error:
        raise MalformedError(f"cannot read {password_file}: {error.strerror}", field="password_file") from error
    return text.rstrip("\r\n")


def main() -> None:
    """Entry point: a known error is one clear line and its exit code."""
    try:
        cli()
    except CloudError as error:
        typer.echo(f"hashyard-cloud: {error}", err=True)
        sys.exit(error.exit_code if isinstance(error, StartError) else 1)
