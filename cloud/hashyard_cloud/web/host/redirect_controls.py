"""Redirect controls: the organisation's switch, approvals, shadow mode per site, holding pools, hashprice."""

from dataclasses import replace
from typing import Any

from aiohttp import web

from hashyard_cloud.domain.money import Money
from hashyard_cloud.errors import CloudError
from hashyard_cloud.services import activity, hashprices, sites
from hashyard_cloud.services.users import Viewer
from hashyard_cloud.web import keys
from hashyard_cloud.web.pages import MANAGERS, actor_of, fields, go, host_page, show

HERE = "/redirect-controls"


def routes() -> list[web.RouteDef]:
    """The routes of these pages."""
    return [
        web.get(HERE, host_page(page)),
        web.post(f"{HERE}/switch", host_page(switch, MANAGERS)),
        web.post(f"{HERE}/rules", host_page(rules, MANAGERS)),
        web.post(f"{HERE}/shadow/{{site_id}}", host_page(shadow, MANAGERS)),
        web.post(f"{HERE}/pools", host_page(add_pool, MANAGERS)),
        web.post(f"{HERE}/pools/{{reference}}/retire", host_page(retire_pool, MANAGERS)),
        web.post(f"{HERE}/hashprice", host_page(hashprice, MANAGERS)),
    ]


async def _context(request: web.Request, viewer: Viewer) -> dict[str, Any]:
    organisation_id = viewer.organisation_id
    async with request.app[keys.DATABASE].reading() as tx:
        currency = viewer.organisation.currency
        return {
            "sites": await tx.sites.all(organisation_id),
            "pools": await tx.holding_pools.all(organisation_id),
            "controls": await tx.redirects.controls(organisation_id),
            "prices": (await tx.hashprices.all(organisation_id, currency))[:7],
            "redirected": sum((await tx.redirects.at_pool_counts(organisation_id)).values()),
        }


async def page(request: web.Request, viewer: Viewer) -> web.StreamResponse:
    """GET /redirect-controls."""
    return show(request, viewer, "host/redirect_controls/page.html", **await _context(request, viewer))


async def _again(
    request: web.Request, viewer: Viewer, form: dict[str, str], error: CloudError, field: str
) -> web.Response:
    if error.status >= 500:
        raise error
    errors = {error.field or field: str(error)}
    context = await _context(request, viewer)
    return show(
        request, viewer, "host/redirect_controls/page.html", error.status, form=form, errors=errors, **context
    )


async def switch(request: web.Request, viewer: Viewer) -> web.StreamResponse:
    """POST .../switch: off gives back at once what is redirected."""
    form = await fields(request)
    enabled = form.get("enabled") == "1"
    async with request.app[keys.DATABASE].transaction() as tx:
        await request.app[keys.ENFORCEMENT].freezes.set_switch(
            tx,
            viewer.organisation_id,
            actor_of(viewer),
            enabled=enabled,
            reason=form.get("reason", "").strip()[:200],
        )
    return go(HERE, f"Redirects are switched {'on' if enabled else 'off'}.")


async def rules(request: web.Request, viewer: Viewer) -> web.StreamResponse:
    """POST .../rules: approvals, what a freeze does, and which pool is used."""
    form = await fields(request)
    try:
        async with request.app[keys.DATABASE].transaction() as tx:
            await request.app[keys.ENFORCEMENT].freezes.set_controls(
                tx,
                viewer.organisation_id,
                actor_of(viewer),
                approvals_required=int(form["approvals"]) if form.get("approvals", "") in {"0", "1", "2"} else -1,
                freeze_restores=form.get("freeze_restores") == "1",
                holding_pool=form.get("holding_pool", ""),
            )
    except CloudError as error:
        return await _again(request, viewer, form, error, "approvals")
    return go(HERE, "Saved.")


async def shadow(request: web.Request, viewer: Viewer) -> web.StreamResponse:
    """POST .../shadow/{site_id}: everything but the write, at this site."""
    wanted = (await fields(request)).get("shadow") == "1"
    site_id = request.match_info["site_id"]
    now_us = request.app[keys.CLOCK].now_us()
    async with request.app[keys.DATABASE].transaction() as tx:
        site = await sites.get(tx, viewer.organisation_id, site_id)
        await tx.sites.update(replace(site, shadow_mode=wanted))
        await tx.desired.bump(viewer.organisation_id, site_id)
        text = f"Shadow mode {'on' if wanted else 'off'} at {site.name}"
        await activity.record(
            tx,
            now_us,
            viewer.organisation_id,
            actor_of(viewer),
            "site.shadow",
            text,
            object_kind="site",
            object_id=site_id,
        )
    return go(HERE, f"{text}.")


async def add_pool(request: web.Request, viewer: Viewer) -> web.StreamResponse:
    """POST .../pools."""
    form = await fields(request)
    try:
        async with request.app[keys.DATABASE].transaction() as tx:
            await request.app[keys.ENFORCEMENT].pools.add(
                tx,
                viewer.organisation_id,
                actor_of(viewer),
                reference=form.get("reference", ""),
                url=form.get("url", ""),
                worker=form.get("worker", ""),
                password=form.get("password", ""),
            )
    except CloudError as error:
        return await _again(request, viewer, form, error, "reference")
    return go(HERE, "Holding pool added. It is used at a site only after a technician pinned it there.")


async def retire_pool(request: web.Request, viewer: Viewer) -> web.StreamResponse:
    """POST .../pools/{reference}/retire."""
    async with request.app[keys.DATABASE].transaction() as tx:
        await request.app[keys.ENFORCEMENT].pools.retire(
            tx, viewer.organisation_id, actor_of(viewer), request.match_info["reference"]
        )
    return go(HERE, "No new order names this pool.")


async def hashprice(request: web.Request, viewer: Viewer) -> web.StreamResponse:
    """POST .../hashprice: what a TH/s earns in a day, from today on."""
    form = await fields(request)
    try:
        price = Money.parse(form.get("price", ""), viewer.organisation.currency)
        async with request.app[keys.DATABASE].transaction() as tx:
            await hashprices.put(
                tx,
                request.app[keys.CLOCK].now_us(),
                viewer.organisation_id,
                actor_of(viewer),
                price,
                source=form.get("source", "").strip()[:200] or "configured",
            )
    except CloudError as error:
        return await _again(request, viewer, form, error, "price")
    return go(HERE, "Hashprice set.")
