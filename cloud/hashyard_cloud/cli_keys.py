"""`hashyard-cloud signing-key`: the host's signing keys, their rotation, and the recovery key kept offline."""

import os
from pathlib import Path
from typing import Annotated, Final

import typer
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from hashyard_cloud.cli_money import CLI, ConfigOption, HostOption, Office, host_of, run
from hashyard_cloud.errors import MalformedError
from hashyard_cloud.services.ports.database import Transaction
from hashyard_cloud.services.ports.signing_keys import SigningKeyRow
from hashyard_shared.clock import iso
from hashyard_shared.key_rotation import KEY_BYTES
from hashyard_shared.orders import OrderKind
from hashyard_shared.signing import SignatureError, decode_base64, encode_base64, grouped

ROTATION_PROTOCOL: Final = 2
"""Agents of an older protocol do not follow rotations."""
MAX_KEY_FILE_BYTES: Final = 1_024

key_cli = typer.Typer(no_args_is_help=True, help="The host's signing keys.")


@key_cli.command("list")
def list_keys(host: HostOption = "", config: ConfigOption = None) -> None:
    """The host's signing keys with the fingerprints that technicians compare."""

    async def work(office: Office) -> list[str]:
        async with office.database.transaction() as tx:
            organisation_id = (await host_of(tx, host)).organisation_id
            await office.built.keys.ensure(tx, organisation_id)
            rows = await tx.signing_keys.all(organisation_id)
            rotations = await office.built.keys.rotations(tx, organisation_id)
            lines = [
                f"{row.slot.value:<8}  {grouped(row.fingerprint)}  since {iso(row.created_us)}" for row in rows
            ]
            return [*lines, f"{len(rotations)} rotations are sent to sites"]

    for line in run(config, work):
        typer.echo(line)


@key_cli.command("rotate")
def rotate_key(
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    revoke: Annotated[bool, typer.Option(help="Have sites refuse the retired key for ever.")] = False,
    host: HostOption = "",
    config: ConfigOption = None,
) -> None:
    """Sign with the next key from now on. Sites have pinned it, and take over a new next one by themselves."""
    if not yes:
        typer.confirm("Retire the current signing key and sign with the next one?", abort=True)

    async def work(office: Office) -> list[str]:
        async with office.database.transaction() as tx:
            organisation_id = (await host_of(tx, host)).organisation_id
            rows = await office.built.keys.rotate(tx, organisation_id, CLI, revoke=revoke)
            return [*await _after(office, tx, organisation_id, rows), *await _by_hand(tx, rows)]

    for line in run(config, work):
        typer.echo(line)


@key_cli.command("recovery-key")
def make_recovery_key(
    output: Annotated[Path, typer.Option("--output", "-o", help="The file for the private half.")],
    host: HostOption = "",
    config: ConfigOption = None,
) -> None:
    """Make the recovery key, once. Its private half goes to the file and is kept nowhere else."""

    async def work(office: Office) -> str:
        handle = _new_file(output)
        with os.fdopen(handle, "w", encoding="ascii") as file:
            async with office.database.transaction() as tx:
                organisation_id = (await host_of(tx, host)).organisation_id
                private = await office.built.keys.make_recovery_key(tx, organisation_id, CLI)
                row = await office.built.keys.recovery_key(tx, organisation_id)
                file.write(encode_base64(private.private_bytes_raw()) + "\n")
                file.flush()
                os.fsync(file.fileno())
        return f"{grouped(row.fingerprint)}\n{row.public_key}" if row else ""

    try:
        shown = run(config, work)
    except BaseException:
        if output.exists() and output.stat().st_size == 0:
            output.unlink()
        raise
    print_of, public = shown.splitlines()
    typer.echo(
        f"Wrote {output}: move it to a safe and off this machine.\nFingerprint  {print_of}\n"
        f"Sites that enrol from now on pin it. On the others run: hashyard-agent trust pin-recovery-key {public}"
    )


@key_cli.command("recover")
def recover(
    key: Annotated[Path, typer.Option(help="The file with the private half of the recovery key.", dir_okay=False)],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    host: HostOption = "",
    config: ConfigOption = None,
) -> None:
    """Replace both signing keys, lost or stolen, by new ones that sites believe because of the recovery key."""
    if not yes:
        typer.confirm("Have all sites refuse both present signing keys for ever?", abort=True)
    private = _private_key(key)

    async def work(office: Office) -> list[str]:
        async with office.database.transaction() as tx:
            organisation_id = (await host_of(tx, host)).organisation_id
            rows = await office.built.keys.recover(tx, organisation_id, CLI, private)
            return await _after(office, tx, organisation_id, rows)

    for line in run(config, work):
        typer.echo(line)


async def _after(office: Office, tx: Transaction, organisation_id: str, rows: list[SigningKeyRow]) -> list[str]:
    """A restore must not wait for the next look at what was signed by a retired key; redirects may."""
    outdated = await office.built.desk.outdated(tx, organisation_id)
    count = await office.built.desk.repeat(tx, [row for row in outdated if row.wanted is OrderKind.RESTORE])
    return [
        f"signs now  {grouped(rows[0].fingerprint)}",
        f"next       {grouped(rows[1].fingerprint)}",
        f"{count} restores were signed anew; redirects follow at the next look at their gate",
    ]


async def _by_hand(tx: Transaction, rows: list[SigningKeyRow]) -> list[str]:
    """Sites whose agent is too old to follow: a person pins the next key there before it is in use."""
    agents = await tx.agents.all(rows[0].organisation_id)
    old = [agent.name for agent in agents if agent.revoked_at_us is None and agent.protocol < ROTATION_PROTOCOL]
    if not old:
        return []
    names = ", ".join(old)
    todo = f"before the next rotation, on site run: hashyard-agent trust add-key {rows[1].public_key}"
    return [f"Too old to take it over by themselves: {names}; {todo}"]


def _new_file(path: Path) -> int:
    try:
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError as error:
        raise MalformedError(f"{path} is there already; a key is never overwritten.", field="output") from error
    except OSError as error:
        raise MalformedError(f"{path} cannot be written: {error.strerror}.", field="output") from error


def _private_key(path: Path) -> Ed25519PrivateKey:
    try:
        with path.open("rb") as file:
            raw = decode_base64(file.read(MAX_KEY_FILE_BYTES).decode("ascii").strip())
    except (OSError, UnicodeDecodeError, SignatureError) as error:
        raise MalformedError(f"{path} cannot be read as a recovery key.", field="key") from error
    if len(raw) != KEY_BYTES:
        raise MalformedError(f"{path} is not a recovery key: it has {len(raw)} bytes.", field="key")
    return Ed25519PrivateKey.from_private_bytes(raw)


def add_to(cli: typer.Typer) -> None:
    """Put these commands on the service's command line."""
    cli.add_typer(key_cli, name="signing-key")
