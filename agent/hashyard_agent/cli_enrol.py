"""`hashyard-agent enroll`: what a technician sees and answers."""

import asyncio
import os
import socket
from pathlib import Path

import typer

from hashyard_agent.adapters.cloud_link import CloudHttp
from hashyard_agent.adapters.files import hand_over
from hashyard_agent.adapters.identity import FileIdentityStore
from hashyard_agent.adapters.outbox import SqliteOutbox
from hashyard_agent.adapters.trust_file import TrustFile
from hashyard_agent.enrol import Enrolment, Offer
from hashyard_agent.errors import CloudRefusedError
from hashyard_agent.identity import AgentIdentity
from hashyard_agent.key_change import ChangedKey, KeyRing
from hashyard_agent.settings import CloudSettings, Settings, config_path, load, write_starter
from hashyard_agent.version import agent_version
from hashyard_shared.clock import SystemClock
from hashyard_shared.enrolment import EnrolmentCode
from hashyard_shared.errors import ErrorCode
from hashyard_shared.signing import decode_base64, fingerprint, grouped

_WHAT_TO_DO = {
    ErrorCode.CODE_USED: "The code was used already. Make a new one on the site's page in the cloud.",
    ErrorCode.CODE_EXPIRED: "The code is too old. Make a new one on the site's page in the cloud.",
    ErrorCode.CODE_UNKNOWN: "The cloud does not know this code. Check it for typing errors, or make a new one.",
    ErrorCode.RATE_LIMITED: "Too many tries. Wait a few minutes and try again.",
    ErrorCode.PROTOCOL_TOO_OLD: "This agent is too old for that cloud. Install the current version.",
    ErrorCode.PROTOCOL_TOO_NEW: "This agent is newer than that cloud. Have the cloud updated first.",
}


def enrol_here(
    code: str,
    *,
    config: Path | None,
    cloud_url: str | None,
    ca_file: Path | None,
    replaces: str | None,
    yes: bool,
) -> None:
    """Enrol this machine. Errors: those of `Enrolment`, and `SettingsError`."""
    EnrolmentCode.parse(code)
    path = config_path(config)
    if cloud_url is not None and not path.exists():
        CloudSettings(url=cloud_url, ca_file=ca_file)
        write_starter(path, cloud_url, ca_file)
        typer.echo(f"Wrote {path}; enter the site's networks there before you start the agent.")
    settings = load(path)
    cloud = CloudSettings(
        url=cloud_url or settings.cloud.url,
        ca_file=ca_file or settings.cloud.ca_file,
        timeout_s=settings.cloud.timeout_s,
    )
    identity = asyncio.run(_enrol(code, settings, cloud, replaces=replaces, yes=yes))
    typer.echo(
        f"Enrolled as {identity.name} ({identity.agent_id}) for site {identity.site_name} "
        f"of {identity.organisation_name}.\nStart it with: hashyard-agent run --config {path}"
    )
    if os.geteuid() != 0:
        typer.echo(
            f"Note: {settings.enforcement.trust_file} belongs to you and not to root, so the agent could change "
            "it. On a real site enrol as root.",
            err=True,
        )


def change_key(config: Path | None) -> None:
    """A new key for this agent. Errors: `CloudError`, `StoreError`; the same command then goes on from there."""
    settings = load(config)
    changed = asyncio.run(_change_key(settings))
    typer.echo(
        f"Old key  {grouped(changed.old)}\nNew key  {grouped(changed.new)}\n"
        "The cloud accepted it. Compare it with the site's page; a copy of this machine is refused from now on."
    )


async def _change_key(settings: Settings) -> ChangedKey:
    identities = FileIdentityStore(settings.store.path)
    url = identities.load().identity.cloud_url
    try:
        async with CloudHttp(url, settings.cloud.ca_file, settings.cloud.timeout_s) as link:
            return await KeyRing(identities, link).change()
    finally:
        hand_over(settings.store.path)


async def _enrol(
    code: str, settings: Settings, cloud: CloudSettings, *, replaces: str | None, yes: bool
) -> AgentIdentity:
    store = settings.store
    outbox = SqliteOutbox(store.outbox_file, max_bytes=store.max_bytes, headroom_bytes=0, clock=SystemClock())
    try:
        async with CloudHttp(cloud.url, cloud.ca_file, cloud.timeout_s) as link:
            enrolment = Enrolment(
                link=link,
                identities=FileIdentityStore(store.path),
                trusts=TrustFile(settings.enforcement.trust_file, store.path),
                epochs=outbox,
                clock=SystemClock(),
                confirm=lambda offer: _show(offer) and (yes or _ask()),
            )
            name = settings.name if settings.name != "agent" else socket.gethostname()[:64]
            return await enrolment.enrol(
                code, name=name, version=agent_version(), cloud_url=cloud.url, replaces_agent_id=replaces
            )
    except CloudRefusedError as error:
        advice = _WHAT_TO_DO.get(error.code)
        if advice is None:
            raise
        raise CloudRefusedError(error.code, advice, error.status) from error
    finally:
        outbox.close()
        # Enrolled as root, run as the agent's own user.
        hand_over(store.path)


def _show(offer: Offer) -> bool:
    answer = offer.answer
    lines = [
        f"Organisation   {answer.organisation_name}",
        f"Site           {answer.site_name} ({answer.timezone})",
        f"This agent     {grouped(offer.agent_fingerprint)}   compare with the site's page in the cloud",
    ]
    lines += [f"Signing key    {grouped(text)}   {_origin(text, offer)}" for text in offer.signing_fingerprints]
    if answer.recovery_key is not None:
        shown = grouped(fingerprint(decode_base64(answer.recovery_key)))
        lines.append(f"Recovery key   {shown}   may replace the signing keys")
    if offer.replaces is not None:
        lines.append(f"Replaces       {offer.replaces.name} ({offer.replaces.agent_id}) on this machine")
    if answer.holding_pools:
        lines.append("Holding pools  miners may be pointed at these, and at no other:")
    else:
        lines.append("Holding pools  none: redirect orders will be refused until one is pinned")
    for pool in answer.holding_pools:
        lines.append(f"  {pool.reference}: {pool.url} as {pool.worker}, password {_masked(pool.password)}")
    typer.echo("\n".join(lines))
    return True


def _origin(key_fingerprint: str, offer: Offer) -> str:
    return "named by your code" if key_fingerprint == offer.named_fingerprint else "second slot"


def _masked(password: str) -> str:
    """Enough to compare, too little to use."""
    return "empty" if not password else f"{password[:1]}{'*' * 5} ({len(password)} characters)"


def _ask() -> bool:
    return typer.confirm("Do the fingerprints and the pools agree with what the host told you?", default=False)
