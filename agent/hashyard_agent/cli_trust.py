"""`trust`: what is pinned on site, and by whom it may be changed: root, here."""

import json
from collections.abc import Callable
from getpass import getuser
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from hashyard_agent.adapters.enforcement_store import SqliteEnforcementStore
from hashyard_agent.adapters.files import hand_over
from hashyard_agent.adapters.site_trust import TrustFiles, writable_by_agent
from hashyard_agent.adapters.trust_file import TrustFile
from hashyard_agent.enforcement.model import Change, JournalEntry
from hashyard_agent.enforcement_parts import trust_files
from hashyard_agent.errors import SettingsError
from hashyard_agent.settings import Settings, load
from hashyard_agent.trust import KEY_SLOTS, Trust
from hashyard_shared.clock import SystemClock
from hashyard_shared.events import SiteControl
from hashyard_shared.signing import decode_base64, encode_base64, fingerprint, grouped
from hashyard_shared.trust import HoldingPool

PEM_HINT: Final = "keep it off this machine: whoever has it can read the snapshots"

trust_app = typer.Typer(
    help="What is pinned on site: signing keys and holding pools.", invoke_without_command=True
)

ConfigOption = Annotated[
    Path | None, typer.Option("--config", "-c", help="The settings file; /etc/hashyard/agent.toml by default.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="One JSON document instead of text.")]
PasswordOption = Annotated[str, typer.Option(prompt=True, hide_input=True, help="Asked for when not given.")]


@trust_app.callback()
def trust_alone(context: typer.Context, config: ConfigOption = None, json_: JsonOption = False) -> None:
    """What is pinned on site: signing keys and holding pools. Without a command: show them."""
    if context.invoked_subcommand is None:
        list_trust(config, json_)


@trust_app.command("list")
def list_trust(config: ConfigOption = None, json_: JsonOption = False) -> None:
    """Show both key slots with their fingerprints, the holding pools, and what was revoked."""
    settings = load(config)
    path = settings.enforcement.trust_file
    files = trust_files(settings)
    trust, pinned = files.trust(), files.pinned()
    if json_:
        document = trust.model_dump(
            mode="json", exclude={"holding_pools": {"__all__": {"password"}}, "retired_pools": True}
        )
        typer.echo(json.dumps(document | {"fingerprints": [_print_of(key) for key in trust.signing_keys]}))
        return
    typer.echo(f"Organisation  {trust.organisation_id}\nSite          {trust.site_id}")
    for slot, key in enumerate(trust.signing_keys, start=1):
        typer.echo(f"Key {slot}         {grouped(_print_of(key))}   {_key_note(trust, pinned, slot, key)}")
    if trust.recovery_key is not None:
        typer.echo(f"Recovery key  {grouped(_print_of(trust.recovery_key))}   may replace both keys")
    for print_of in trust.revoked_keys:
        typer.echo(f"Revoked       {grouped(print_of)}")
    for pool in trust.holding_pools:
        typer.echo(
            f"Holding pool  {pool.reference}: {pool.url} as {pool.worker}, password {masked(pool.password)}"
        )
    for unit, who in sorted(trust.inexact_units.items()):
        typer.echo(f"Inexact       {unit}: accepted by {who}")
    sealed = (
        f"sealed to {grouped(_print_of(trust.snapshot_key))}" if trust.snapshot_key else "stay on this machine"
    )
    typer.echo(f"Snapshots     {sealed}")
    if writable_by_agent(path):
        typer.echo(f"Warning: this user can change {path}; on a real site it belongs to root.", err=True)


@trust_app.command("pin-rotated")
def pin_rotated(config: ConfigOption = None) -> None:
    """Pin the keys that the taken rotations led to, so that nothing rests on the agent's own file any more."""
    files = trust_files(load(config))
    slots = files.slots()
    if not slots.sequence:
        raise SettingsError("no rotation was taken since the keys were pinned")
    fields = {"signing_keys": slots.trust.signing_keys, "revoked_keys": slots.trust.revoked_keys}
    shown = " and ".join(slots.fingerprints())
    _change(config, "keys-pinned", shown, lambda trust: _changed(trust, **fields))
    typer.echo("\n".join(f"Pinned {grouped(text)}" for text in slots.fingerprints()))


@trust_app.command("pin-recovery-key")
def pin_recovery_key(
    key: Annotated[str, typer.Argument(help="The public half, in base64, as the host gives it out.")],
    config: ConfigOption = None,
) -> None:
    """Pin the organisation's offline recovery key: it may name new signing keys when both are lost or stolen."""
    _change(config, "recovery-key-pinned", _print_of(key), lambda trust: _changed(trust, recovery_key=key))
    typer.echo(f"Pinned {grouped(_print_of(key))}")


@trust_app.command("add-key")
def add_key(
    key: Annotated[str, typer.Argument(help="The organisation's new public key, in base64.")],
    config: ConfigOption = None,
) -> None:
    """Pin a further signing key. With both slots taken, remove one first."""

    def change(trust: Trust) -> Trust:
        if key in trust.signing_keys:
            raise SettingsError("this key is pinned already")
        if len(trust.signing_keys) >= KEY_SLOTS:
            raise SettingsError(f"both slots are taken; remove a key first ({KEY_SLOTS} at most)")
        return _changed(trust, signing_keys=(*trust.signing_keys, key))

    _change(config, "key-added", _print_of(key), change)
    typer.echo(f"Pinned {grouped(_print_of(key))}")


@trust_app.command("remove-key")
def remove_key(
    print_of: Annotated[str, typer.Argument(metavar="FINGERPRINT")],
    revoke: Annotated[bool, typer.Option(help="Also refuse it for ever, with a code of its own.")] = False,
    config: ConfigOption = None,
) -> None:
    """Take a signing key out of its slot, or revoke it."""
    wanted = print_of.replace(" ", "").lower()

    def change(trust: Trust) -> Trust:
        kept = tuple(key for key in trust.signing_keys if _print_of(key) != wanted)
        if len(kept) == len(trust.signing_keys) and not revoke:
            raise SettingsError(f"no pinned key has the fingerprint {wanted}")
        revoked = tuple(dict.fromkeys((*trust.revoked_keys, wanted))) if revoke else trust.revoked_keys
        # The last key stays in its slot when revoked: the document needs one, and a revoked one signs nothing.
        return _changed(trust, signing_keys=kept or trust.signing_keys, revoked_keys=revoked)

    _change(config, "key-revoked" if revoke else "key-removed", wanted, change)


@trust_app.command("add-pool")
def add_pool(
    reference: Annotated[str, typer.Argument(help="The name by which orders mean it.")],
    url: Annotated[str, typer.Argument()],
    worker: Annotated[str, typer.Argument(help="account.{unit}: {unit} becomes the unit's label.")],
    password: PasswordOption,
    config: ConfigOption = None,
) -> None:
    """Pin a holding pool, or change one: URL, worker and password together."""
    pool = HoldingPool(reference=reference, url=url, worker=worker, password=password)

    def change(trust: Trust) -> Trust:
        old = trust.pool(reference)
        kept = tuple(known for known in trust.holding_pools if known.reference != reference)
        retired = trust.retired_pools if old is None else (*trust.retired_pools, old)
        return _changed(trust, holding_pools=(*kept, pool), retired_pools=retired)

    _change(config, "pool-pinned", f"{reference}: {url} as {worker}", change)


@trust_app.command("remove-pool")
def remove_pool(reference: Annotated[str, typer.Argument()], config: ConfigOption = None) -> None:
    """Unpin a holding pool: no order can name it any more. Units that are there stay until they are restored."""

    def change(trust: Trust) -> Trust:
        old = trust.pool(reference)
        if old is None:
            raise SettingsError(f"no holding pool {reference!r} is pinned")
        kept = tuple(known for known in trust.holding_pools if known.reference != reference)
        return _changed(trust, holding_pools=kept, retired_pools=(*trust.retired_pools, old))

    _change(config, "pool-unpinned", reference, change)


@trust_app.command("accept-inexact")
def accept_inexact(
    unit: Annotated[str, typer.Argument(help="The unit's id.")],
    by: Annotated[str, typer.Option(help="Who accepted it in writing.")],
    config: ConfigOption = None,
) -> None:
    """Note that the host accepted in writing that this unit may not come back exactly as it was."""
    _change(
        config,
        "inexact-accepted",
        f"{unit}: {by}",
        lambda trust: _changed(trust, inexact_units={**trust.inexact_units, unit: by}),
    )


@trust_app.command("recovery-key")
def recovery_key(
    output: Annotated[Path, typer.Option("--output", "-o", help="Where the private half goes.")],
    config: ConfigOption = None,
) -> None:
    """Make the site's key for snapshots: they are sealed to its public half and synced."""
    key = X25519PrivateKey.generate()
    public = encode_base64(key.public_key().public_bytes_raw())
    if output.exists():
        raise SettingsError(f"{output} is there already; a recovery key is never overwritten")
    output.touch(mode=0o600)
    output.write_text(encode_base64(key.private_bytes_raw()) + "\n", encoding="utf-8")
    _change(config, "recovery-key", _print_of(public), lambda trust: _changed(trust, snapshot_key=public))
    typer.echo(f"Wrote {output}; {PEM_HINT}.")


def _change(config: Path | None, control: str, value: str, change: Callable[[Trust], Trust]) -> None:
    settings = load(config)
    store = TrustFile(settings.enforcement.trust_file, settings.store.path)
    known = TrustFiles(settings.enforcement.trust_file, settings.recorded_pools_file).trust()
    store.write(change(known))
    report(settings, f"trust-{control}", value)


def report(settings: Settings, control: str, value: str) -> None:
    """A change on site is reported, and stands in the journal."""
    now_us, actor = SystemClock().now_us(), getuser()
    event = SiteControl(at_us=now_us, control=control[:64], value=value[:500], actor=actor)
    entry = JournalEntry("site-control", {"control": control, "value": value, "actor": actor})
    store = SqliteEnforcementStore(settings.store.enforcement_file, owner=False)
    try:
        store.commit([Change(now_us, journal=(entry,), events=(event,))])
    finally:
        store.close()
        hand_over(settings.store.path)


def _changed(trust: Trust, **fields: Any) -> Trust:
    """The document with fields replaced, checked as a whole."""
    return Trust.model_validate({**trust.model_dump(), **fields})


def _key_note(trust: Trust, pinned: Trust, slot: int, key: str) -> str:
    if trust.is_revoked(_print_of(key)):
        return "REVOKED"
    use = "in use" if slot == 1 else "next"
    return f"{use}, {'pinned on site' if key in pinned.signing_keys else 'by a signed rotation'}"


def _print_of(key: str) -> str:
    return fingerprint(decode_base64(key))


def masked(password: str) -> str:
    """Enough of a password to tell two apart, and no more."""
    return "empty" if not password else f"{password[:1]}{'*' * 5} ({len(password)} characters)"
