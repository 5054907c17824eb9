"""A customer's normal pools: worded in the cloud, recorded and assigned on site, reported back."""

import pytest

from hashyard_cloud.errors import MalformedError, NotFoundError
from hashyard_cloud.services import customer_pools
from hashyard_cloud.services.customer_pools import OnSite
from hashyard_shared.events import SiteControl
from hashyard_support.money import OWNER, Host

POOL = ("stratum+tcp://pool.example:3333", "ridge.{unit}")


async def set_pools(host: Host, *pools: tuple[str, str], customer: str = "customer-1") -> None:
    async with host.database.transaction() as tx:
        await customer_pools.set_pools(tx, host.clock.now_us(), host.org, OWNER, customer, pools)


async def told(host: Host, control: str, value: str = "customer-1") -> None:
    host.clock.pass_s(1)
    await host.event(SiteControl(at_us=host.clock.now_us(), control=control, value=value, actor="tech"))


async def state(host: Host) -> OnSite:
    async with host.database.reading() as tx:
        (site,) = (await customer_pools.view(tx, host.org, host.customer)).sites
    return site.state


async def test_each_site_is_shown_as_far_as_it_is(host: Host) -> None:
    await set_pools(host, POOL, ("stratum+ssl://backup.example:443/path?x=1", "ridge.{unit}"))
    assert await state(host) is OnSite.NOT_RECORDED
    await told(host, "pools-recorded")
    assert await state(host) is OnSite.RECORDED
    await told(host, "pools-assigned")
    assert await state(host) is OnSite.ASSIGNED
    host.clock.pass_s(1)
    await set_pools(host, POOL)
    assert await state(host) is OnSite.OUTDATED
    await told(host, "pools-recorded")
    assert await state(host) is OnSite.RECORDED
    await told(host, "pools-forgotten")
    assert await state(host) is OnSite.NOT_RECORDED


async def test_a_site_that_names_an_unknown_customer_changes_nothing(host: Host) -> None:
    await set_pools(host, POOL)
    await told(host, "pools-recorded", "nobody")
    assert await state(host) is OnSite.NOT_RECORDED
    assert "site-control.pools-recorded" in await host.activity()


@pytest.mark.parametrize(
    "pools",
    [
        [],
        [POOL] * 9,
        [("http://pool.example:3333", "a")],
        [("stratum+tcp://user:secret@pool.example:3333", "a")],
        [("stratum+tcp://pool.example", "a")],
        [(POOL[0], "")],
        [(POOL[0], "two words")],
    ],
)
async def test_what_is_not_a_list_of_pools_is_refused(host: Host, pools: list[tuple[str, str]]) -> None:
    with pytest.raises(MalformedError):
        await set_pools(host, *pools)


async def test_only_for_a_customer_of_this_host(host: Host) -> None:
    with pytest.raises(NotFoundError):
        await set_pools(host, POOL, customer="nobody")
