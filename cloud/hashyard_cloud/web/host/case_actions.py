"""What people do with a default case besides freezing it: plan, waiver, agreed share, bounces, evidence, pools."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final

from aiohttp import hdrs, web

from hashyard_cloud.domain.dunning import duration_s
from hashyard_cloud.errors import CloudError, MalformedError, NotFoundError
from hashyard_cloud.services import customer_pools, customers, notices
from hashyard_cloud.services.ports.customers import CustomerRow
from hashyard_cloud.services.ports.database import Transaction
from hashyard_cloud.services.ports.defaults import CaseRow
from hashyard_cloud.services.standing import standing
from hashyard_cloud.services.users import Viewer
from hashyard_cloud.web import keys
from hashyard_cloud.web.pages import FLOOR, MONEY, actor_of, fields, go, host_page, show
from hashyard_shared.clock import US_PER_S

BASE: Final = "/customers/{customer_id}/default"
TEMPLATE: Final = "host/defaults/case_action.html"
COMMANDS_SHOWN: Final = 5
Form = dict[str, str]
Act = Callable[[Transaction, CaseRow, Form], Awaitable[object]]


@dataclass(frozen=True, slots=True)
class Words:
    """What a form page says. `inputs` are (name, label, hint) of single lines; the reason comes last."""

    title: str
    lead: str
    button: str
    reason: str
    inputs: tuple[tuple[str, str, str], ...] = ()


PLAN: Final = Words(
    "Agree a payment plan",
    "The case is suspended and every redirected machine goes back now. If the plan's time runs out with the debt "
    "still open, the case opens again by itself and the gate is judged anew.",
    "Agree plan",
    "The plan: instalments and dates",
    (("until", "Ends in", "Such as 30 d."),),
)
BROKEN: Final = Words(
    "The plan was broken",
    "The case opens again and the redirect gate is judged anew.",
    "Reopen case",
    "What was not kept",
)
WAIVE: Final = Words(
    "Waive the debt",
    "What is open on the case's invoices is given up, the case ends, and every redirected machine goes back now.",
    "Waive debt",
    "Why it is given up",
)
SHARE: Final = Words(
    "Agree a partial redirect",
    "Only units that together stay within this share of the contract's hashrate are redirected; others go back.",
    "Agree share",
    "",
    (("percent", "Share of the hashrate", "1 to 100 per cent."),),
)
BOUNCE: Final = Words(
    "Record a bounce",
    "The notice does not count as delivered any more, unless a proof of delivery is uploaded.",
    "Record bounce",
    "What the mail server said",
)


def routes() -> list[web.RouteDef]:
    """The routes of these actions."""
    return [
        web.get(f"{BASE}/plan", host_page(_form(PLAN), MONEY)),
        web.post(f"{BASE}/plan", host_page(plan, MONEY)),
        web.get(f"{BASE}/plan-broken", host_page(_form(BROKEN), MONEY)),
        web.post(f"{BASE}/plan-broken", host_page(plan_broken, MONEY)),
        web.get(f"{BASE}/waive", host_page(_form(WAIVE), MONEY)),
        web.post(f"{BASE}/waive", host_page(waive, MONEY)),
        web.get(f"{BASE}/share", host_page(_form(SHARE), MONEY)),
        web.post(f"{BASE}/share", host_page(share, MONEY)),
        web.get(f"{BASE}/bounce/{{notice_id}}", host_page(_form(BOUNCE), MONEY)),
        web.post(f"{BASE}/bounce/{{notice_id}}", host_page(bounce, MONEY)),
        web.post(f"{BASE}/approval/withdraw", host_page(withdraw_approval, MONEY)),
        web.post(f"{BASE}/evidence", host_page(evidence, MONEY)),
        web.get("/customers/{customer_id}/pools", host_page(pools_page)),
        web.post("/customers/{customer_id}/pools", host_page(set_pools, FLOOR)),
    ]


async def _case(tx: Transaction, viewer: Viewer, customer_id: str) -> CaseRow:
    """The customer's live case, else the newest; `NotFoundError` without any."""
    cases = await tx.defaults.cases(viewer.organisation_id, customer_id=customer_id)
    live = [case for case in cases if case.state.live]
    if not cases:
        raise NotFoundError
    return live[-1] if live else cases[0]


def _form(words: Words) -> Callable[[web.Request, Viewer], Awaitable[web.StreamResponse]]:
    async def page(request: web.Request, viewer: Viewer) -> web.StreamResponse:
        return await _page(request, viewer, words, {}, None)

    return page


async def _page(
    request: web.Request, viewer: Viewer, words: Words, form: Form, error: CloudError | None
) -> web.Response:
    async with request.app[keys.DATABASE].reading() as tx:
        customer = await customers.get(tx, viewer.organisation_id, request.match_info["customer_id"])
        found = await standing(tx, customer)
        case = await _case(tx, viewer, customer.customer_id)
    names = {name for name, _, _ in words.inputs} | {"text"}
    field = error.field if error is not None and error.field in names else "text"
    return show(
        request,
        viewer,
        TEMPLATE,
        error.status if error is not None else 200,
        customer=customer,
        standing=found,
        case=case,
        base=f"/customers/{customer.customer_id}",
        words=words,
        form=form,
        errors={field: str(error)} if error is not None else {},
    )


async def _act(request: web.Request, viewer: Viewer, words: Words, act: Act, flash: str) -> web.StreamResponse:
    form = await fields(request)
    customer_id = request.match_info["customer_id"]
    try:
        async with request.app[keys.DATABASE].transaction() as tx:
            await customers.get(tx, viewer.organisation_id, customer_id)
            case = await _case(tx, viewer, customer_id)
            await act(tx, case, form)
    except NotFoundError:
        raise
    except CloudError as error:
        if error.status >= 500:
            raise
        return await _page(request, viewer, words, form, error)
    return go(f"/customers/{customer_id}/default", flash)


async def plan(request: web.Request, viewer: Viewer) -> web.StreamResponse:
    """POST .../plan."""
    defaults, clock = request.app[keys.ENFORCEMENT].defaults, request.app[keys.CLOCK]

    async def act(tx: Transaction, case: CaseRow, form: Form) -> object:
        until_us = clock.now_us() + _duration(form.get("until", "")) * US_PER_S
        return await defaults.agree_plan(
            tx, viewer.organisation_id, actor_of(viewer), case.case_id, form.get("text", ""), until_us
        )

    return await _act(request, viewer, PLAN, act, "Plan agreed. Restores are ordered.")


async def plan_broken(request: web.Request, viewer: Viewer) -> web.StreamResponse:
    """POST .../plan-broken."""
    defaults = request.app[keys.ENFORCEMENT].defaults

    async def act(tx: Transaction, case: CaseRow, form: Form) -> object:
        opened = await defaults.break_plan(
            tx, viewer.organisation_id, actor_of(viewer), case.case_id, form.get("text", "")
        )
        return await defaults.act(tx, opened)

    return await _act(request, viewer, BROKEN, act, "The case is open again.")


async def waive(request: web.Request, viewer: Viewer) -> web.StreamResponse:
    """POST .../waive."""
    defaults = request.app[keys.ENFORCEMENT].defaults

    async def act(tx: Transaction, case: CaseRow, form: Form) -> object:
        return await defaults.waive(
            tx, viewer.organisation_id, actor_of(viewer), case.case_id, form.get("text", "")
        )

    return await _act(request, viewer, WAIVE, act, "Debt waived. Restores are ordered.")


async def share(request: web.Request, viewer: Viewer) -> web.StreamResponse:
    """POST .../share."""
    defaults = request.app[keys.ENFORCEMENT].defaults

    async def act(tx: Transaction, case: CaseRow, form: Form) -> object:
        text = form.get("percent", "").strip().removesuffix("%").strip()
        if not text.isdecimal():
            raise MalformedError("Give a whole number from 1 to 100.", field="percent")
        changed = await defaults.set_percent(tx, viewer.organisation_id, actor_of(viewer), case.case_id, int(text))
        return await defaults.act(tx, changed) if changed.state.live else None

    return await _act(request, viewer, SHARE, act, "Share agreed.")


async def bounce(request: web.Request, viewer: Viewer) -> web.StreamResponse:
    """POST .../bounce/{notice_id}."""
    now_us = request.app[keys.CLOCK].now_us()
    defaults = request.app[keys.ENFORCEMENT].defaults

    async def act(tx: Transaction, case: CaseRow, form: Form) -> object:
        row = await tx.notices.get(viewer.organisation_id, request.match_info["notice_id"])
        if row is None or row.customer_id != case.customer_id:
            raise NotFoundError
        if not form.get("text", "").strip():
            raise MalformedError("Say what the mail server said.", field="text")
        await notices.record_bounce(
            tx, now_us, viewer.organisation_id, actor_of(viewer), row.notice_id, form["text"]
        )
        return await defaults.act(tx, case) if case.state.live else None

    return await _act(request, viewer, BOUNCE, act, "Bounce recorded.")


async def withdraw_approval(request: web.Request, viewer: Viewer) -> web.StreamResponse:
    """POST .../approval/withdraw: one's own."""
    defaults = request.app[keys.ENFORCEMENT].defaults
    customer_id = request.match_info["customer_id"]
    async with request.app[keys.DATABASE].transaction() as tx:
        await customers.get(tx, viewer.organisation_id, customer_id)
        case = await _case(tx, viewer, customer_id)
        await defaults.withdraw_approval(tx, viewer.organisation_id, actor_of(viewer), case.case_id)
    return go(f"/customers/{customer_id}/default", "Your approval is withdrawn.")


async def evidence(request: web.Request, viewer: Viewer) -> web.StreamResponse:
    """POST .../evidence: the bundle of the live or newest case as a download; that it was made is recorded."""
    built = request.app[keys.ENFORCEMENT]
    customer_id = request.match_info["customer_id"]
    async with request.app[keys.DATABASE].transaction() as tx:
        await customers.get(tx, viewer.organisation_id, customer_id)
        case = await _case(tx, viewer, customer_id)
        name, data = await built.evidence.bundle(tx, viewer.organisation_id, actor_of(viewer), case.case_id)
    headers = {hdrs.CONTENT_DISPOSITION: f'attachment; filename="{name}"'}
    return web.Response(body=data, content_type="application/zip", headers=headers)


async def pools_page(request: web.Request, viewer: Viewer) -> web.StreamResponse:
    """GET /customers/{customer_id}/pools: the customer's normal pools, and how far each site has them."""
    return await _pools(request, viewer, {}, None)


async def _pools(request: web.Request, viewer: Viewer, form: Form, error: CloudError | None) -> web.Response:
    async with request.app[keys.DATABASE].reading() as tx:
        customer: CustomerRow = await customers.get(tx, viewer.organisation_id, request.match_info["customer_id"])
        found = await customer_pools.view(tx, viewer.organisation_id, customer.customer_id)
        asked = await tx.commands.newest(viewer.organisation_id, COMMANDS_SHOWN, customer_id=customer.customer_id)
    lines = "\n".join(f"{row.url} {row.worker}" for row in found.pools)
    context: dict[str, Any] = {
        "customer": customer,
        "pools": found,
        "commands": asked,
        "base": f"/customers/{customer.customer_id}",
        "form": form or {"pools": lines},
        "errors": {"pools": str(error)} if error is not None else {},
    }
    status = error.status if error is not None else 200
    return show(request, viewer, "host/defaults/pools.html", status, **context)


async def set_pools(request: web.Request, viewer: Viewer) -> web.StreamResponse:
    """POST /customers/{customer_id}/pools: one pool a line, URL and worker."""
    form = await fields(request)
    customer_id = request.match_info["customer_id"]
    now_us = request.app[keys.CLOCK].now_us()
    try:
        wanted = [_pool_line(line) for line in form.get("pools", "").splitlines() if line.strip()]
        async with request.app[keys.DATABASE].transaction() as tx:
            await customer_pools.set_pools(
                tx, now_us, viewer.organisation_id, actor_of(viewer), customer_id, wanted
            )
    except MalformedError as error:
        return await _pools(request, viewer, form, error)
    return go(f"/customers/{customer_id}/pools", "Normal pools set. A technician records them on site.")


def _pool_line(line: str) -> tuple[str, str]:
    parts = line.split()
    if len(parts) != 2:
        raise MalformedError(f"Write each line as URL, a space, worker: {line[:60]!r}.", field="pools")
    return parts[0], parts[1]


def _duration(text: str) -> int:
    try:
        return duration_s(text)
    except CloudError as error:
        raise MalformedError(str(error), field="until") from error
