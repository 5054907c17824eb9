"""A customer's Activity tab: what happened to the account, by what it was about, and the same as CSV."""

import csv
import io
from collections.abc import Sequence
from typing import Final

from aiohttp import web

from hashyard_cloud.services import customers
from hashyard_cloud.services.ports.activity import ActivityRow
from hashyard_cloud.services.ports.database import Transaction
from hashyard_cloud.services.users import Viewer
from hashyard_cloud.web import charts, keys
from hashyard_cloud.web.host.customer_tabs import load
from hashyard_cloud.web.pages import host_page, show
from hashyard_shared.clock import iso

LINES_SHOWN: Final = 50
MAX_EXPORT_LINES: Final = 100_000
EXPORT_STEP_LINES: Final = 1_000
MAX_POSITION_DIGITS: Final = 18
"""What a column of 64 bits holds in any case."""


def routes() -> list[web.RouteDef]:
    """The routes of these pages."""
    return [
        web.get("/customers/{customer_id}/activity", host_page(tab)),
        web.get("/customers/{customer_id}/activity.csv", host_page(export)),
    ]


def _action(request: web.Request, topics: Sequence[str]) -> str | None:
    """The beginning of the actions asked for; a word that is no topic filters nothing."""
    topic = request.query.get("about", "")
    return f"{topic}." if topic in topics else None


async def _topics(tx: Transaction, viewer: Viewer, customer_id: str) -> list[str]:
    actions = await tx.activity.actions(viewer.organisation_id, customer_id)
    return sorted({action.partition(".")[0] for action in actions})


async def tab(request: web.Request, viewer: Viewer) -> web.StreamResponse:
    """GET .../activity: everything that happened to the account, newest first."""
    before = request.query.get("before", "")
    known = before.isascii() and before.isdigit() and len(before) <= MAX_POSITION_DIGITS
    customer_id = request.match_info["customer_id"]
    async with request.app[keys.DATABASE].reading() as tx:
        context = await load(request, viewer, tx)
        topics = await _topics(tx, viewer, customer_id)
        action = _action(request, topics)
        lines = await tx.activity.all(
            viewer.organisation_id,
            customer_id=customer_id,
            action=action,
            before=int(before) if known else None,
            limit=LINES_SHOWN + 1,
        )
    return show(
        request,
        viewer,
        "host/customers/activity.html",
        **context,
        tab="activity",
        lines=lines[:LINES_SHOWN],
        more=lines[LINES_SHOWN - 1].position if len(lines) > LINES_SHOWN else None,
        topics=topics,
        about=action[:-1] if action else "",
    )


async def export(request: web.Request, viewer: Viewer) -> web.StreamResponse:
    """GET .../activity.csv: the lines as filtered, newest first, with their place in the chain."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(("line", "at_utc", "action", "what", "who", "from", "hash"))
    async with request.app[keys.DATABASE].reading() as tx:
        customer = await customers.get(tx, viewer.organisation_id, request.match_info["customer_id"])
        action = _action(request, await _topics(tx, viewer, customer.customer_id))
        before = None
        for _ in range(MAX_EXPORT_LINES // EXPORT_STEP_LINES):
            lines = await tx.activity.all(
                viewer.organisation_id,
                customer_id=customer.customer_id,
                action=action,
                before=before,
                limit=EXPORT_STEP_LINES,
            )
            writer.writerows(_cells(line) for line in lines)
            if len(lines) < EXPORT_STEP_LINES:
                break
            before = lines[-1].position
    return charts.csv_file(text.getvalue(), "activity.csv")


def _cells(line: ActivityRow) -> tuple[str | int, ...]:
    return (line.position, iso(line.at_us), line.action, line.text, line.actor_name, line.ip, line.hash)
