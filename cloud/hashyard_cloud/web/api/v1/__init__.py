"""`/api/v1`: the host's business for programs."""

from typing import Final

from aiohttp import web

from hashyard_cloud.web.api.v1 import (
    agreements,
    commands,
    contract_sites,
    contracts,
    customers,
    defaults,
    edge,
    equipment,
    imports,
    money,
    organisation,
    redirects,
    reference,
    series,
    sites,
    team,
    usage,
)
from hashyard_cloud.web.api.v1.operations import Operation

OPERATIONS: Final[tuple[Operation, ...]] = (
    *organisation.OPERATIONS,
    *sites.OPERATIONS,
    *customers.OPERATIONS,
    *contracts.OPERATIONS,
    *equipment.OPERATIONS,
    *commands.OPERATIONS,
    *series.OPERATIONS,
    *money.OPERATIONS,
    *defaults.OPERATIONS,
    *redirects.OPERATIONS,
    *contract_sites.OPERATIONS,
    *agreements.OPERATIONS,
    *team.OPERATIONS,
    *imports.OPERATIONS,
    *usage.OPERATIONS,
)
"""The whole API: routes, checks and the OpenAPI document come from this table."""

MIDDLEWARE: Final = edge.middleware


def routes() -> list[web.RouteDef]:
    """All operations, the OpenAPI document and the reference page."""
    return [*edge.routes_of(OPERATIONS), *reference.routes(OPERATIONS)]
