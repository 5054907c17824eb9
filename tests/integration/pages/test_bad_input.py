"""Every form of host and portal with values nobody should send: told what is wrong, never a failure of ours."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
from aiohttp import web

import hashyard_cloud.web
from hashyard_support.pages import Pages
from hashyard_support.visitor import Visitor

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(240)]

TEMPLATES: Final = Path(hashyard_cloud.web.__file__).parent / "templates"
NOT_FORMS: Final = frozenset({"/logout", "/portal/logout", "/portal/leave", "/account/password"})
NASTY: Final = {
    "blank": "",
    "html": "<script>alert(1)</script>",
    "negative": "-1",
    "huge number": "9" * 400,
    "not a number": "NaN",
    "control": "a\x00b\x07",
    "unicode": "Żółw 🐢 \u202e\ufeff٣",
    "long": "x" * 3_000,
}


def field_names() -> list[str]:
    """Every field that any template offers."""
    found = {"text", "confirmed"}
    for template in TEMPLATES.rglob("*.html"):
        text = template.read_text(encoding="utf-8")
        found |= set(re.findall(r'name="([a-z_]+)"', text))
        found |= set(re.findall(r'(?:text|area|select|check)_field\("([a-z_]+)"', text))
    return sorted(found - {"csrf", "viewport", "theme"})


def forms(app: web.Application) -> Iterator[str]:
    """The address of every form behind a sign-in."""
    for route in app.router.routes():
        guard = getattr(route.handler, "__qualname__", "").partition(".")[0]
        path = route.resource.canonical if route.resource else ""
        if route.method == "POST" and guard in {"host_page", "portal_page"} and path not in NOT_FORMS:
            yield path


async def ids_of(pages: Pages) -> dict[str, str]:
    """Something that exists for every placeholder for which there is one."""
    customer_id = pages.customers["Bluff Ridge Capital LLC"]
    async with pages.database.reading() as tx:
        invoices = await tx.invoices.all(pages.organisation_id, customer_id=customer_id)
        notices = await tx.notices.all(pages.organisation_id, customer_id=customer_id)
        agreements = await tx.agreements.all(pages.organisation_id)
    return {
        "customer_id": customer_id,
        "contract_id": pages.contracts["Bluff Ridge Capital LLC"],
        "site_id": pages.sites["PN"].site_id,
        "unit_id": pages.sites["PN"].units[0].unit_id,
        "agent_id": "agent-pn",
        "invoice_id": invoices[0].invoice_id,
        "notice_id": notices[0].notice_id,
        "agreement_id": agreements[0].agreement_id,
        "kind": "contracts",
    }


async def sent(visitor: Visitor, path: str, form: dict[str, str]) -> int:
    async with visitor.http.post(path, data=form, allow_redirects=False) as answer:
        await answer.read()
        return answer.status


@pytest.mark.parametrize("name", list(NASTY))
async def test_no_form_fails_over_what_is_sent(furnished: Pages, name: str) -> None:
    ids, names, failed = await ids_of(furnished), field_names(), []
    assert len(names) > 60
    async with furnished.browser() as owner:
        token = await owner.token()
        for path in forms(furnished.app):
            address = re.sub(r"\{(\w+)\}", lambda match: ids.get(match[1], "nothing"), path)
            form = dict.fromkeys(names, NASTY[name]) | {"csrf": token}
            status = await sent(owner, address, form)
            if status >= 500:
                failed.append(f"{path} {status}")
    assert not failed, failed
