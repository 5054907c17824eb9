"""`hashyard-cloud evidence export | verify`, `hashyard-cloud pool-figures import`."""

import os
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from hashyard_cloud.adapters.pool_figures_csv import CsvPoolFigures
from hashyard_cloud.cli_money import CLI, ConfigOption, HostOption, Office, host_of, run
from hashyard_cloud.errors import MalformedError, NotFoundError
from hashyard_cloud.services import pool_figures
from hashyard_cloud.services.evidence_bundle import MAX_BUNDLE_BYTES, verify_bundle
from hashyard_shared.signing import grouped

evidence_cli = typer.Typer(no_args_is_help=True, help="Evidence bundles of default cases.")
figures_cli = typer.Typer(no_args_is_help=True, help="The holding pools' own figures (level 5).")


@evidence_cli.command("export")
def export(
    case: Annotated[str, typer.Option(help="The case's number, DC-0001.")],
    output: Annotated[Path | None, typer.Option(help="Where to write; else the bundle's own name here.")] = None,
    host: HostOption = "",
    config: ConfigOption = None,
) -> None:
    """Write the evidence bundle of a case."""

    async def work(office: Office) -> tuple[str, bytes]:
        async with office.database.transaction() as tx:
            organisation_id = (await host_of(tx, host)).organisation_id
            rows = await tx.defaults.cases(organisation_id)
            found = next((row for row in rows if case in {row.number, row.case_id}), None)
            if found is None:
                raise NotFoundError(f"There is no default case {case!r}.")
            return await office.built.evidence.bundle(tx, organisation_id, CLI, found.case_id)

    name, data = run(config, work)
    path = output if output is not None else Path(name)
    made = path.with_name(path.name + ".new")
    with made.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    made.replace(path)
    typer.echo(f"{path}: {len(data)} bytes")


@evidence_cli.command("verify")
def verify(
    file: Annotated[Path, typer.Argument(help="The bundle.", exists=True, dir_okay=False, readable=True)],
    fingerprint: Annotated[str, typer.Option(help="The signing key's fingerprint, got in another way.")] = "",
) -> None:
    """Check a bundle by itself: files, signatures, orders, journal. Exit code 1 when anything does not hold."""
    if file.stat().st_size > MAX_BUNDLE_BYTES:
        raise MalformedError(f"{file} is larger than {MAX_BUNDLE_BYTES} bytes.", field="file")
    report = verify_bundle(file.read_bytes(), fingerprint)
    console = Console(soft_wrap=True)
    for check in report.checks:
        console.print(f"{'ok     ' if check.passed else 'REFUSED'}  {check.name}: {check.detail}", markup=False)
    if not report.ok:
        console.print("This bundle is NOT what was made.", markup=False)
        raise typer.Exit(1)
    console.print(f"The bundle is whole, signed by key {grouped(report.signer)}.", markup=False)


@figures_cli.command("import")
def import_figures(
    file: Annotated[
        Path,
        typer.Argument(help="CSV with day, worker, hashrate_ths and maybe shares.", exists=True, dir_okay=False),
    ],
    pool: Annotated[str, typer.Option(help="The holding pool's reference.")],
    host: HostOption = "",
    config: ConfigOption = None,
) -> None:
    """Import what a holding pool says was mined there."""

    async def work(office: Office) -> str:
        async with office.database.transaction() as tx:
            organisation_id = (await host_of(tx, host)).organisation_id
            source = CsvPoolFigures(file.name, file.read_bytes())
            count = await pool_figures.take_in(tx, office.clock.now_us(), organisation_id, CLI, pool, source)
            return f"{count} worker days of pool {pool} imported"

    typer.echo(run(config, work))


def add_to(cli: typer.Typer) -> None:
    """Put these commands on the service's command line."""
    cli.add_typer(evidence_cli, name="evidence")
    cli.add_typer(figures_cli, name="pool-figures")
