"""Default cases: the list, and the actions that end, freeze or allow a redirect."""

from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

from hashyard_cloud.errors import MalformedError, NotFoundError, TooLargeError
from hashyard_cloud.services import customers, notices
from hashyard_cloud.services.case_money import case_money
from hashyard_cloud.services.case_view import unit_counts
from hashyard_cloud.services.ports.database import Transaction
from hashyard_cloud.services.ports.defaults import CaseRow
from hashyard_cloud.services.standing import standing
from hashyard_cloud.services.users import Viewer
from hashyard_cloud.web import keys
from hashyard_cloud.web.pages import MONEY, actor_of, fields, go, host_page, show
from hashyard_shared.orders import OrderKind

Act = Callable[[Transaction, str], Awaitable[object]]
MAX_PROOF_BYTES = 8 * 1024 * 1024


def routes() -> list[web.RouteDef]:
    """The routes of these pages."""
    base = "/customers/{customer_id}/default"
    return [
        web.get("/defaults", host_page(index)),
        web.get(f"{base}/dispute", host_page(dispute_form, MONEY)),
        web.post(f"{base}/dispute", host_page(raise_dispute, MONEY)),
        web.get(f"{base}/dispute/{{dispute_id}}", host_page(resolve_form, MONEY)),
        web.post(f"{base}/dispute/{{dispute_id}}", host_page(resolve_dispute, MONEY)),
        web.get(f"{base}/hold", host_page(hold_form, MONEY)),
        web.post(f"{base}/hold", host_page(place_hold, MONEY)),
        web.get(f"{base}/hold/{{hold_id}}", host_page(lift_form, MONEY)),
        web.post(f"{base}/hold/{{hold_id}}", host_page(lift_hold, MONEY)),
        web.get(f"{base}/restore", host_page(restore_form, MONEY)),
        web.post(f"{base}/restore", host_page(restore, MONEY)),
        web.get(f"{base}/approve", host_page(approve_form, MONEY)),
        web.post(f"{base}/approve", host_page(approve, MONEY)),
        web.post(f"{base}/proof/{{notice_id}}", host_page(upload_proof, MONEY)),
    ]


async def index(request: web.Request, viewer: Viewer) -> web.StreamResponse:
    """GET /defaults: live cases first."""
    rows = []
    async with request.app[keys.DATABASE].reading() as tx:
        names = {row.customer_id: row.name for row in await tx.customers.all(viewer.organisation_id)}
        cases = await tx.defaults.cases(viewer.organisation_id)
        for case in sorted(cases, key=lambda one: not one.state.live)[:200]:
            units = await tx.redirects.units(viewer.organisation_id, case_id=case.case_id)
            rows.append((case, await case_money(tx, case), unit_counts(units)))
    return show(request, viewer, "host/defaults/index.html", rows=rows, names=names)


async def _page(
    request: web.Request, viewer: Viewer, words: dict[str, Any], errors: dict[str, str] | None = None
) -> web.Response:
    async with request.app[keys.DATABASE].reading() as tx:
        customer = await customers.get(tx, viewer.organisation_id, request.match_info["customer_id"])
        found = await standing(tx, customer)
        units = len(await tx.equipment.bound(viewer.organisation_id, customer_id=customer.customer_id))
    return show(
        request,
        viewer,
        "host/defaults/action.html",
        422 if errors else 200,
        customer=customer,
        standing=found,
        assigned=units,
        base=f"/customers/{customer.customer_id}",
        errors=errors or {},
        **words,
    )


async def _act(
    request: web.Request, viewer: Viewer, words: dict[str, Any], act: Act, flash: str
) -> web.StreamResponse:
    form = await fields(request)
    customer_id = request.match_info["customer_id"]
    try:
        async with request.app[keys.DATABASE].transaction() as tx:
            await customers.get(tx, viewer.organisation_id, customer_id)
            await act(tx, form.get("text", ""))
    except MalformedError as error:
        return await _page(request, viewer, words | {"form": form}, {"text": str(error)})
    return go(f"/customers/{customer_id}/default", flash)


DISPUTE = {
    "title": "Record a dispute",
    "lead": "An open dispute shuts the redirect gate. Nothing new is redirected while it stands.",
    "label": "What the customer disputes",
    "button": "Record dispute",
    "filled": False,
}
RESOLVE = {
    "title": "Resolve the dispute",
    "lead": "The redirect gate is judged again at once.",
    "label": "How it was resolved",
    "button": "Resolve dispute",
    "filled": False,
}
HOLD = {
    "title": "Place a legal hold",
    "lead": "A legal hold shuts the redirect gate for this customer: no new redirect, no renewal.",
    "label": "Court, file number, reason",
    "button": "Place legal hold",
    "filled": False,
}
LIFT = {
    "title": "Lift the legal hold",
    "lead": "The redirect gate is judged again at once.",
    "label": "Why it is lifted",
    "button": "Lift legal hold",
    "filled": False,
}
RESTORE = {
    "title": "Restore now",
    "lead": "Every redirected machine goes back to the customer's own pools, paced by site. The case ends by "
    "withdrawal and its invoices are held; what is owed stays owed. It counts as restored when seen there.",
    "label": "Reason, for the journal",
    "button": "Restore now",
    "filled": True,
}


async def dispute_form(request: web.Request, viewer: Viewer) -> web.StreamResponse:
    """GET .../dispute."""
    return await _page(request, viewer, DISPUTE)


async def raise_dispute(request: web.Request, viewer: Viewer) -> web.StreamResponse:
    """POST .../dispute."""
    freezes = request.app[keys.ENFORCEMENT].freezes
    customer_id = request.match_info["customer_id"]

    async def act(tx: Transaction, text: str) -> object:
        return await freezes.raise_dispute(tx, viewer.organisation_id, actor_of(viewer), customer_id, text)

    return await _act(request, viewer, DISPUTE, act, "Dispute recorded.")


async def resolve_form(request: web.Request, viewer: Viewer) -> web.StreamResponse:
    """GET .../dispute/{dispute_id}."""
    return await _page(request, viewer, RESOLVE)


async def resolve_dispute(request: web.Request, viewer: Viewer) -> web.StreamResponse:
    """POST .../dispute/{dispute_id}."""
    freezes = request.app[keys.ENFORCEMENT].freezes
    dispute_id = request.match_info["dispute_id"]

    async def act(tx: Transaction, text: str) -> object:
        row = await tx.defaults.dispute(viewer.organisation_id, dispute_id)
        if row is None or row.customer_id != request.match_info["customer_id"]:
            raise NotFoundError
        return await freezes.resolve_dispute(tx, viewer.organisation_id, actor_of(viewer), dispute_id, text)

    return await _act(request, viewer, RESOLVE, act, "Dispute resolved.")


async def hold_form(request: web.Request, viewer: Viewer) -> web.StreamResponse:
    """GET .../hold."""
    return await _page(request, viewer, HOLD)


async def place_hold(request: web.Request, viewer: Viewer) -> web.StreamResponse:
    """POST .../hold."""
    freezes = request.app[keys.ENFORCEMENT].freezes
    customer_id = request.match_info["customer_id"]

    async def act(tx: Transaction, text: str) -> object:
        return await freezes.place_hold(
            tx, viewer.organisation_id, actor_of(viewer), text, customer_id=customer_id
        )

    return await _act(request, viewer, HOLD, act, "Legal hold placed.")


async def lift_form(request: web.Request, viewer: Viewer) -> web.StreamResponse:
    """GET .../hold/{hold_id}."""
    return await _page(request, viewer, LIFT)


async def lift_hold(request: web.Request, viewer: Viewer) -> web.StreamResponse:
    """POST .../hold/{hold_id}."""
    freezes = request.app[keys.ENFORCEMENT].freezes
    hold_id = request.match_info["hold_id"]

    async def act(tx: Transaction, text: str) -> object:
        return await freezes.lift_hold(tx, viewer.organisation_id, actor_of(viewer), hold_id, text)

    return await _act(request, viewer, LIFT, act, "Legal hold lifted.")


async def restore_form(request: web.Request, viewer: Viewer) -> web.StreamResponse:
    """GET .../restore: names object, count, effect and way back before anything is done."""
    return await _page(request, viewer, RESTORE)


async def restore(request: web.Request, viewer: Viewer) -> web.StreamResponse:
    """POST .../restore."""
    defaults = request.app[keys.ENFORCEMENT].defaults
    customer_id = request.match_info["customer_id"]

    async def act(tx: Transaction, text: str) -> object:
        case = await _redirected_case(tx, viewer.organisation_id, customer_id)
        return await defaults.withdraw(tx, viewer.organisation_id, actor_of(viewer), case.case_id, text)

    return await _act(request, viewer, RESTORE, act, "Restore ordered. It counts when the miners are seen back.")


async def _redirected_case(tx: Transaction, organisation_id: str, customer_id: str) -> CaseRow:
    for case in await tx.defaults.cases(organisation_id, customer_id=customer_id, live_only=True):
        units = await tx.redirects.units(organisation_id, case_id=case.case_id)
        if any(row.wanted is OrderKind.REDIRECT for row in units):
            return case
    raise MalformedError("Nothing is redirected for this customer.", field="text")


async def _situation(request: web.Request, viewer: Viewer) -> dict[str, Any]:
    defaults = request.app[keys.ENFORCEMENT].defaults
    async with request.app[keys.DATABASE].reading() as tx:
        customer = await customers.get(tx, viewer.organisation_id, request.match_info["customer_id"])
        cases = await tx.defaults.cases(viewer.organisation_id, customer_id=customer.customer_id, live_only=True)
        if not cases:
            raise NotFoundError
        found = await defaults.situation(tx, cases[-1])
    return {"customer": customer, "found": found, "base": f"/customers/{customer.customer_id}"}


async def approve_form(request: web.Request, viewer: Viewer) -> web.StreamResponse:
    """GET .../approve: what exactly is approved, with its hash."""
    return show(request, viewer, "host/defaults/approve.html", **await _situation(request, viewer))


async def approve(request: web.Request, viewer: Viewer) -> web.StreamResponse:
    """POST .../approve: bound to the hash that was shown."""
    form = await fields(request)
    defaults = request.app[keys.ENFORCEMENT].defaults
    customer_id = request.match_info["customer_id"]
    async with request.app[keys.DATABASE].transaction() as tx:
        case = await defaults.get(tx, viewer.organisation_id, form.get("case_id", ""))
        if case.customer_id != customer_id:
            raise NotFoundError
        await defaults.approve(tx, viewer.organisation_id, actor_of(viewer), case.case_id, form.get("binding", ""))
        await defaults.act(tx, case)
    return go(f"/customers/{customer_id}/default", "Approved.")


async def upload_proof(request: web.Request, viewer: Viewer) -> web.StreamResponse:
    """POST .../proof/{notice_id}: a file that proves delivery."""
    given = (await request.post()).get("proof")
    if not isinstance(given, web.FileField):
        raise MalformedError("Choose a file.", field="proof")
    body = given.file.read(MAX_PROOF_BYTES + 1)
    if len(body) > MAX_PROOF_BYTES:
        raise TooLargeError(f"The file is larger than {MAX_PROOF_BYTES // 1024 // 1024} MB.")
    customer_id = request.match_info["customer_id"]
    async with request.app[keys.DATABASE].transaction() as tx:
        row = await tx.notices.get(viewer.organisation_id, request.match_info["notice_id"])
        if row is None or row.customer_id != customer_id:
            raise NotFoundError
        await notices.upload_proof(
            tx,
            request.app[keys.CLOCK].now_us(),
            viewer.organisation_id,
            actor_of(viewer),
            row.notice_id,
            given.filename,
            body,
        )
    return go(f"/customers/{customer_id}/default", "Proof of delivery kept.")
