"""Pages for the host's staff."""

from aiohttp import web

from hashyard_cloud.web.host import (
    activity,
    agreements,
    api_tokens,
    bulk,
    case_actions,
    commands,
    contract_sites,
    contracts,
    customer_tabs,
    customers,
    defaults,
    equipment,
    fleet,
    imports,
    invoices,
    legal_holds,
    mailbox,
    redirect_controls,
    revenue_guard,
    search,
    session,
    settings,
    sites,
    team,
    units,
    usage,
)

_FEATURES = (
    session,
    fleet,
    sites,
    equipment,
    bulk,
    units,
    customers,
    customer_tabs,
    contracts,
    contract_sites,
    invoices,
    defaults,
    case_actions,
    commands,
    redirect_controls,
    legal_holds,
    mailbox,
    search,
    revenue_guard,
    settings,
    team,
    usage,
    activity,
    agreements,
    imports,
    api_tokens,
)


def routes() -> list[web.RouteDef]:
    """Every route of the host's pages."""
    return [route for feature in _FEATURES for route in feature.routes()]
