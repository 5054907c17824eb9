"""`hashyard-cloud snapshots`: the sealed way back of a site's units, for the box that replaces a lost one."""

import os
from pathlib import Path
from typing import Annotated

import typer

from hashyard_cloud.cli_money import CLI, ConfigOption, HostOption, Office, host_of, run
from hashyard_cloud.errors import MalformedError, NotFoundError
from hashyard_cloud.services.ports.database import Transaction
from hashyard_cloud.services.ports.sites import SiteRow
from hashyard_cloud.services.snapshots import as_file, give_out


def snapshots(
    site: Annotated[str, typer.Argument(help="The site's name, code or id.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="The file to write.")],
    host: HostOption = "",
    config: ConfigOption = None,
) -> None:
    """Write the newest sealed snapshot of each unit of a site; only the site's own key opens them."""

    async def work(office: Office) -> tuple[int, str]:
        async with office.database.transaction() as tx:
            organisation_id = (await host_of(tx, host)).organisation_id
            found = await _site(tx, organisation_id, site)
            rows = await give_out(tx, office.clock.now_us(), organisation_id, CLI, found.site_id)
            return len(rows), as_file(rows)

    count, text = run(config, work)
    try:
        with os.fdopen(os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            file.write(text)
    except OSError as error:
        raise MalformedError(f"{output} cannot be written: {error.strerror}.", field="output") from error
    typer.echo(f"{count} snapshots in {output}")
    typer.echo(f"on the new box: hashyard-agent trust recover-snapshots {output} --key <the site's key>")


async def _site(tx: Transaction, organisation_id: str, wanted: str) -> SiteRow:
    found = [row for row in await tx.sites.all(organisation_id) if wanted in {row.name, row.code, row.site_id}]
    if len(found) != 1:
        raise NotFoundError(f"There is no single site {wanted!r}; give its id.", field="site")
    return found[0]


def add_to(cli: typer.Typer) -> None:
    """Put the command on the service's command line."""
    cli.command()(snapshots)
