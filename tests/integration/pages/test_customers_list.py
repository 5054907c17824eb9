"""The customers list leads to the imports, also the one of opening balances."""

from hashyard_cloud.services.ports.users import Role
from hashyard_support.pages import Pages

BALANCES = 'href="/import/opening-balances"'


async def test_the_list_leads_to_the_import_of_opening_balances(pages: Pages) -> None:
    await pages.member("vera@caprock.example", Role.VIEWER)
    async with pages.browser() as owner, pages.browser("vera@caprock.example") as viewer:
        assert (await owner.get("/customers")).count(BALANCES) == 2  # beside the import, and in the empty list
        assert BALANCES not in await viewer.get("/customers")
        await pages.customer("Bluff Ridge", "ops@bluffridge.example")
        assert (await owner.get("/customers")).count(BALANCES) == 1
        assert "owed" in await owner.get("/import/opening-balances")
