"""A host that looks lived in, for pages to be looked at and for flows through them."""

from dataclasses import replace

from hashyard_cloud.services import agreements
from hashyard_cloud.services.ports.commands import CommandKind, CommandState
from hashyard_cloud.web import keys
from hashyard_shared.clock import US_PER_S
from hashyard_shared.events import UnitPhase
from hashyard_support.pages import DAY_S, HOUR_S, INTERVAL_S, Pages


async def furnish(pages: Pages, *, hours: int = 26) -> None:
    """A host that looks lived in: three sites, nine customers, one redirected for two days, one in default."""
    clock = pages.clock
    pages.move_s(-62 * DAY_S)
    pages.organisation_id = await pages.host(slug="caprock")
    pecos = await pages.site("Pecos North", "PN", "Texas", "America/Chicago", 400)
    rook = await pages.site("Rook Creek", "RC", "North Dakota", "America/Chicago", 260)
    alkali = await pages.site("Alkali Flat", "AF", "Wyoming", "America/Denver", 120)
    plan = (
        ("Bluff Ridge Capital LLC", "ops@bluffridge.example", pecos, 24, "B04", "9330.00"),
        ("Cedar Compute LLC", "billing@cedarcompute.example", rook, 36, "A02", "16420.00"),
        ("Stratum Eight", "hello@stratumeight.example", alkali, 12, "C01", "3118.40"),
        ("Quillwood Partners", "j.moreno@quillwood.example", rook, 10, "A03", "2870.00"),
        ("Saltgrass Digital", "noc@saltgrass.example", pecos, 30, "B07", "14106.15"),
        ("Blue Butte Mining", "accounts@bluebutte.example", alkali, 14, "C02", "5220.90"),
        ("Harlow Family Office", "treasury@harlowfo.example", pecos, 12, "B08", "4044.72"),
    )
    for name, email, site, count, hall, amount in plan:
        units = await pages.units(site, count, email.partition("@")[2].partition(".")[0], hall)
        await pages.customer(name, email, phone="+1 432 555 0148", notes="Prefers a call before 10:00.")
        await pages.contract(name, units)
        await pages.invoice(name, amount, "Hosting, September")
    text = "1. Machines are insured by their owner.\n2. The host may enter the hall at any time."
    given = agreements.AgreementInput(title="House rules", text=text)
    await agreements.add(pages.database, clock, pages.organisation_id, pages.actor, given)
    await pages.customer("Mirasol Nodes SL", "soporte@mirasol.example", currency="EUR")
    await pages.customer("Redbank Holdings", "info@redbank.example", active=False)
    await pages.units(pecos, 4, "free", "A01")
    pages.move_s(10 * DAY_S)
    for name, _, _, _, _, amount in plan[2:]:
        await pages.pay(name, amount, f"first-{name}")
    await pages.pay("Cedar Compute LLC", "9000.00", "part-cedar")
    pages.move_s(20 * DAY_S)
    for name, _, _, _, _, amount in plan[:1] + plan[2:]:
        await pages.invoice(name, amount, "Hosting, October")
    await pages.dun()
    pages.move_s(2 * DAY_S)
    await pages.dun()
    pages.move_s(1.1 * DAY_S)
    await pages.dun()
    # The case of Cedar Compute is disputed, so that only one customer is redirected.
    async with pages.database.transaction() as tx:
        await pages.app[keys.ENFORCEMENT].freezes.raise_dispute(
            tx,
            pages.organisation_id,
            pages.actor,
            pages.customers["Cedar Compute LLC"],
            "Meter readings of September",
        )
    target_us = -(2 * DAY_S + 4 * HOUR_S) * US_PER_S
    clock.offset_us = target_us
    for site in (pecos, rook, alkali):
        await pages.roster(site, extra=6 if site is pecos else 0)
    await pages.settle()
    await pages.dun()
    await pages.report(UnitPhase.REDIRECTED, 4, refused=1, waiting=1)
    clock.offset_us = 0
    await _readings(pages, hours)
    await _commands(pages)
    await pages.recover()


async def _commands(pages: Pages) -> None:
    """A light that is on, a restart that the site's cap refused, and pools that nobody answered for yet."""
    desk, units = pages.app[keys.ENFORCEMENT].commands, pages.sites["PN"].units[10:12]
    async with pages.database.transaction() as tx:
        (light,) = await desk.ask(tx, pages.organisation_id, pages.actor, CommandKind.LIGHT_ON, [units[1].unit_id])
        (restart,) = await desk.ask(tx, pages.organisation_id, pages.actor, CommandKind.REBOOT, [units[1].unit_id])
        customer_id = pages.customers["Bluff Ridge Capital LLC"]
        await desk.ask_pools(tx, pages.organisation_id, pages.actor, customer_id, pages.sites["PN"].site_id)
        now_us = pages.clock.now_us()
        done, refused = CommandState.DONE, CommandState.REFUSED
        await tx.commands.update(replace(light, state=done, detail="light on", ended_us=now_us))
        capped = "60 units were redirected, restarted or written within a day, the site's cap"
        code = "order-over-daily-cap"
        await tx.commands.update(replace(restart, state=refused, code=code, detail=capped, ended_us=now_us))


async def _readings(pages: Pages, hours: int) -> None:
    now_us = pages.clock.now_us()
    first_us = now_us - hours * HOUR_S * US_PER_S
    for step in range(hours * 6 + 1):
        at_us = first_us + step * INTERVAL_S * US_PER_S
        for code, site in pages.sites.items():
            off = code == "RC" and 9 * HOUR_S < (now_us - at_us) / US_PER_S < 10.2 * HOUR_S
            if not off:
                await pages.cycle(site, at_us, dead=2 if code == "AF" else 0)
    for code, site in pages.sites.items():
        await pages.health(site, backlog_s=720 if code == "AF" else 0)
        await pages.details(site, site.units[:14])
    await pages.settle()
