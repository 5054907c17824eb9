"""Lists of units as everybody asks for them: the same list within a second is found once."""

from aiohttp import web

from hashyard_cloud.services.ports.fleet import FoundMiner, UnitFilter, UnitView
from hashyard_cloud.web import keys
from hashyard_cloud.web.memory import MEMORY


async def units_page(app: web.Application, organisation_id: str, wanted: UnitFilter) -> tuple[list[UnitView], int]:
    """One page of units, and how many there are in all; its rows are shared and must not be changed."""

    async def ask() -> tuple[list[UnitView], int]:
        async with app[keys.DATABASE].reading() as tx:
            return await tx.fleet.units(organisation_id, wanted, app[keys.CLOCK].now_us())

    return await app[MEMORY].get(organisation_id, f"units {wanted!r}", ask)


async def found_page(
    app: web.Application, organisation_id: str, site_id: str | None, search: str, limit: int, offset: int
) -> tuple[list[FoundMiner], int]:
    """One page of devices that are not registered, and how many there are in all."""

    async def ask() -> tuple[list[FoundMiner], int]:
        async with app[keys.DATABASE].reading() as tx:
            return await tx.fleet.found(
                organisation_id,
                app[keys.CLOCK].now_us(),
                site_id=site_id,
                search=search,
                limit=limit,
                offset=offset,
            )

    name = f"found {site_id!r} {search!r} {limit} {offset}"
    return await app[MEMORY].get(organisation_id, name, ask)
