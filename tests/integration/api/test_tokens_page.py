"""A person makes a token on the page, a program uses it, the person revokes it."""

import re
from typing import Any

import pytest

from hashyard_support.pages import Pages

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(120)]


async def test_a_token_is_made_used_and_revoked(furnished: Pages, as_program: Any) -> None:
    async with furnished.browser() as visitor:
        text = await visitor.post("/api-tokens", {"name": "Books", "role": "viewer"}, 422)
        assert "Choose at least one of the scopes offered." in text
        assert 'value="Books"' in text
        form = {"name": "Books", "role": "viewer", "lifetime_days": "30", "scope": "invoices:read"}
        text = await visitor.post("/api-tokens", form)
        secret = re.search(r"<code>(hy_[\w-]+)</code>", text)
        assert secret
        assert secret[1] not in await visitor.get("/api-tokens")
        async with as_program(furnished, secret[1]) as program:
            assert (await program.call("GET", "/invoices"))[0] == 200
            assert (await program.call("GET", "/sites"))[0] == 403
            token_id = re.search(r"/api-tokens/([\w-]+)/revoke", text)
            assert token_id
            assert "is refused from now on" in await visitor.post(f"/api-tokens/{token_id[1]}/revoke", {})
            assert (await program.call("GET", "/invoices"))[0] == 401
