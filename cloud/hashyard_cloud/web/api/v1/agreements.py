"""Agreements: texts in versions, and who accepted which."""

from typing import Annotated, Final

from pydantic import StringConstraints

from hashyard_cloud.errors import NotFoundError
from hashyard_cloud.services import agreements, customers
from hashyard_cloud.services.agreements import AgreementInput
from hashyard_cloud.services.api_tokens import Area
from hashyard_cloud.services.inputs import MAX_CLAUSE_CHARS, read
from hashyard_cloud.services.ports.agreements import AcceptanceRow, AgreementRow
from hashyard_cloud.web.api.v1 import paging
from hashyard_cloud.web.api.v1.operations import Call, Feature, Operation
from hashyard_cloud.web.api.v1.types import Answer, Body, Done, Name, Page, PageQuery, instant
from hashyard_cloud.web.pages import MANAGERS, STAFF

Text = Annotated[
    str,
    StringConstraints(
        min_length=1,
        max_length=MAX_CLAUSE_CHARS,
        pattern=r"^[^\x00-\x08\x0b\x0c\x0e-\x1f]*[^\x00-\x20][^\x00-\x08\x0b\x0c\x0e-\x1f]*$",
    ),
]


class Agreement(Answer):
    """A text that customers accept; one that is retired is offered no more."""

    agreement_id: str
    title: str
    created_at: str
    retired_at: str | None


class AgreementVersion(Answer):
    """A version, never changed. `sha256` is of the text in UTF-8."""

    version_id: str
    version: int
    text: str
    sha256: str
    created_at: str
    created_by: str


class AgreementWithVersions(Answer):
    """An agreement with its versions, oldest first."""

    agreement: Agreement
    versions: list[AgreementVersion]


class Acceptance(Answer):
    """That somebody accepted a version for a customer, from which address."""

    acceptance_id: str
    customer_id: str
    version_id: str
    sha256: str
    user_id: str
    name: str
    email: str
    remote: str
    at: str


class AgreementBody(Body):
    """A text with its title."""

    title: Name
    text: Text


class VersionBody(Body):
    """Another text; who accepted the one before is asked again."""

    text: Text


async def list_agreements(call: Call, query: PageQuery) -> Page[Agreement]:
    """All agreements, oldest first."""
    async with call.database.reading() as tx:
        rows = await tx.agreements.all(call.org)
    shown, following = paging.page(rows, lambda row: (row.created_us, row.agreement_id), query)
    return Page[Agreement](items=[Agreement.of(row) for row in shown], next_cursor=following)


async def _with_versions(call: Call, agreement_id: str) -> AgreementWithVersions:
    async with call.database.reading() as tx:
        row: AgreementRow | None = await tx.agreements.get(call.org, agreement_id)
        if row is None:
            raise NotFoundError
        versions = [one for one in await tx.agreements.versions(call.org) if one.agreement_id == agreement_id]
    return AgreementWithVersions(
        agreement=Agreement.of(row), versions=[AgreementVersion.of(one) for one in versions]
    )


async def get_agreement(call: Call) -> AgreementWithVersions:
    """One agreement with its versions."""
    return await _with_versions(call, call.ids["agreement_id"])


async def create_agreement(call: Call, body: AgreementBody) -> AgreementWithVersions:
    """A new agreement, offered to every customer."""
    given = read(AgreementInput, body.model_dump())
    row = await agreements.add(call.database, call.clock, call.org, call.actor, given)
    return await _with_versions(call, row.agreement_id)


async def revise_agreement(call: Call, body: VersionBody) -> AgreementWithVersions:
    """A new version of an agreement."""
    agreement_id = call.ids["agreement_id"]
    await agreements.revise(call.database, call.clock, call.org, call.actor, agreement_id, body.text)
    return await _with_versions(call, agreement_id)


async def retire_agreement(call: Call) -> Done:
    """Offer an agreement no more; what was accepted stays on record."""
    await agreements.retire(call.database, call.clock, call.org, call.actor, call.ids["agreement_id"])
    return Done(count=1)


def _key(row: AcceptanceRow) -> tuple[int, str]:
    return row.at_us, row.acceptance_id


async def list_acceptances(call: Call, query: PageQuery) -> Page[Acceptance]:
    """What was accepted for a customer, newest first."""
    async with call.database.reading() as tx:
        customer = await customers.get(tx, call.org, call.ids["customer_id"])
        rows = await tx.agreements.acceptances(call.org, customer.customer_id)
    shown, following = paging.page(rows, _key, query, newest_first=True)
    told = [Acceptance.of(row, at=instant(row.at_us)) for row in shown]
    return Page[Acceptance](items=told, next_cursor=following)


_CONTRACTS: Final = Feature(Area.CONTRACTS)
OPERATIONS: Final[tuple[Operation, ...]] = (
    _CONTRACTS.read("/agreements", list_agreements, STAFF),
    _CONTRACTS.add("/agreements", create_agreement, MANAGERS),
    _CONTRACTS.read("/agreements/{agreement_id}", get_agreement, STAFF),
    _CONTRACTS.add("/agreements/{agreement_id}/versions", revise_agreement, MANAGERS),
    _CONTRACTS.act("/agreements/{agreement_id}/retire", retire_agreement, MANAGERS),
    _CONTRACTS.read("/customers/{customer_id}/acceptances", list_acceptances, STAFF),
)
