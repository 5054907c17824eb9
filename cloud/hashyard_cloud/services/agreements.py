"""Agreements: texts in versions that customers accept in the portal."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Final

from pydantic import Field

from hashyard_cloud.errors import ConflictError, NotFoundError
from hashyard_cloud.services import activity
from hashyard_cloud.services.inputs import Clause, Input, Name
from hashyard_cloud.services.ports.activity import Actor
from hashyard_cloud.services.ports.agreements import AcceptanceRow, AgreementRow, AgreementVersionRow
from hashyard_cloud.services.ports.customers import CustomerRow
from hashyard_cloud.services.ports.database import Database, Transaction
from hashyard_cloud.services.ports.documents import Document, Section
from hashyard_cloud.services.ports.users import UserRow
from hashyard_shared.clock import Clock, iso
from hashyard_shared.ids import new_id

MAX_AGREEMENTS: Final = 50


class AgreementInput(Input):
    """A text with its title."""

    title: Name
    text: Annotated[Clause, Field(min_length=1)]


@dataclass(frozen=True, slots=True)
class Standing:
    """An agreement as a customer stands to it: the newest version, and the newest acceptance of any version."""

    agreement: AgreementRow
    version: AgreementVersionRow
    accepted: AcceptanceRow | None
    accepted_version: AgreementVersionRow | None

    @property
    def current(self) -> bool:
        """Whether the newest version is accepted."""
        return self.accepted_version is not None and self.accepted_version.version_id == self.version.version_id


def _version(clock: Clock, row: AgreementRow, number: int, text: str, actor: Actor) -> AgreementVersionRow:
    now_us = clock.now_us()
    return AgreementVersionRow(
        version_id=new_id(now_us),
        organisation_id=row.organisation_id,
        agreement_id=row.agreement_id,
        version=number,
        text=text,
        sha256=hashlib.sha256(text.encode()).hexdigest(),
        created_us=now_us,
        created_by=actor.name,
    )


async def add(
    database: Database, clock: Clock, organisation_id: str, actor: Actor, given: AgreementInput
) -> AgreementRow:
    """A new agreement with its first version, offered to every customer."""
    now_us = clock.now_us()
    row = AgreementRow(
        agreement_id=new_id(now_us),
        organisation_id=organisation_id,
        title=given.title,
        created_us=now_us,
        retired_us=None,
    )
    async with database.transaction() as tx:
        if len(await tx.agreements.all(organisation_id)) >= MAX_AGREEMENTS:
            raise ConflictError(f"There are {MAX_AGREEMENTS} agreements already.", field="title")
        await tx.agreements.add(row)
        await tx.agreements.add_version(_version(clock, row, 1, given.text, actor))
        await activity.record(tx, now_us, organisation_id, actor, "agreement.added", f"Agreement {row.title}")
    return row


async def revise(
    database: Database, clock: Clock, organisation_id: str, actor: Actor, agreement_id: str, text: str
) -> AgreementVersionRow:
    """A new version; who accepted the one before is asked again."""
    async with database.transaction() as tx:
        row = await tx.agreements.get(organisation_id, agreement_id)
        if row is None or row.retired_us is not None:
            raise NotFoundError
        mine = [one for one in await tx.agreements.versions(organisation_id) if one.agreement_id == agreement_id]
        if mine[-1].text == text:
            raise ConflictError("The text is the same as before.", field="text")
        version = _version(clock, row, mine[-1].version + 1, text, actor)
        await tx.agreements.add_version(version)
        told = f"Agreement {row.title}, version {version.version}"
        await activity.record(tx, clock.now_us(), organisation_id, actor, "agreement.revised", told)
    return version


async def retire(database: Database, clock: Clock, organisation_id: str, actor: Actor, agreement_id: str) -> None:
    """Offer it no more; what was accepted stays on record."""
    now_us = clock.now_us()
    async with database.transaction() as tx:
        row = await tx.agreements.get(organisation_id, agreement_id)
        if row is None:
            raise NotFoundError
        await tx.agreements.update(replace(row, retired_us=now_us))
        await activity.record(tx, now_us, organisation_id, actor, "agreement.retired", f"Agreement {row.title}")


async def standings(tx: Transaction, organisation_id: str, customer_id: str) -> list[Standing]:
    """Every agreement that is offered, or was accepted by this customer."""
    versions = await tx.agreements.versions(organisation_id)
    by_id = {row.version_id: row for row in versions}
    accepted = await tx.agreements.acceptances(organisation_id, customer_id)
    found = []
    for row in await tx.agreements.all(organisation_id):
        mine = [one for one in versions if one.agreement_id == row.agreement_id]
        last = _last_accepted(accepted, by_id, row.agreement_id)
        if row.retired_us is None or last is not None:
            found.append(Standing(row, mine[-1], last, by_id[last.version_id] if last else None))
    return found


def _last_accepted(
    accepted: Sequence[AcceptanceRow], by_id: dict[str, AgreementVersionRow], agreement_id: str
) -> AcceptanceRow | None:
    return next((one for one in accepted if by_id[one.version_id].agreement_id == agreement_id), None)


async def accept(
    tx: Transaction, clock: Clock, customer: CustomerRow, user: UserRow, remote: str, version_id: str, sha256: str
) -> None:
    """Record an acceptance of exactly the text that was shown; another text now is a conflict."""
    organisation_id, now_us = customer.organisation_id, clock.now_us()
    version = await tx.agreements.version(organisation_id, version_id)
    if version is None:
        raise NotFoundError
    agreement = await tx.agreements.get(organisation_id, version.agreement_id)
    versions = await tx.agreements.versions(organisation_id)
    newest = [one for one in versions if one.agreement_id == version.agreement_id][-1]
    if agreement is None or agreement.retired_us is not None or newest.version_id != version_id:
        raise ConflictError("There is a newer text. Read it and accept that one.")
    if version.sha256 != sha256:
        raise ConflictError("This is not the text that was shown.")
    row = AcceptanceRow(
        acceptance_id=new_id(now_us),
        organisation_id=organisation_id,
        customer_id=customer.customer_id,
        version_id=version_id,
        sha256=version.sha256,
        user_id=user.user_id,
        name=user.name or user.email,
        email=user.email,
        remote=remote,
        at_us=now_us,
    )
    if await tx.agreements.accept(row):
        actor = Actor(user.user_id, row.name, remote)
        text = f"{agreement.title}, version {version.version}, accepted"
        await activity.record(
            tx,
            now_us,
            organisation_id,
            actor,
            "agreement.accepted",
            text,
            customer_id=customer.customer_id,
            object_kind="agreement",
            object_id=version_id,
        )


def document(host: str, customer: CustomerRow, found: Standing) -> Document:
    """What was accepted, for print; raises `NotFoundError` where nothing was."""
    if found.accepted is None or found.accepted_version is None:
        raise NotFoundError
    row, version = found.accepted, found.accepted_version
    record = (
        f"Accepted for {customer.name} by {row.name} ({row.email}).",
        f"At {iso(row.at_us)}, from {row.remote or 'an unknown address'}.",
        f"SHA-256 of the text: {row.sha256}",
    )
    return Document(
        title=found.agreement.title,
        subtitle=f"{host} · version {version.version} of {iso(version.created_us)}",
        created_us=row.at_us,
        sections=(Section("Acceptance", record), Section("Text", version.text.split("\n"))),
    )
