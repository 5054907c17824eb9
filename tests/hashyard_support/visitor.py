"""A person with a browser without JavaScript: cookies, forms, redirects."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from aiohttp import ClientSession


@dataclass
class Visitor:
    """A person with a browser without JavaScript."""

    http: ClientSession

    async def get(self, path: str, status: int = 200) -> str:
        """The page; fails on another status."""
        async with self.http.get(path) as answer:
            text = await answer.text()
            assert answer.status == status, (path, answer.status, text[:2_000])
            return text

    async def post(self, path: str, form: dict[str, Any] | Sequence[tuple[str, str]], status: int = 200) -> str:
        """Send a form with the token of the page it is on, following the redirect."""
        fields = list(form.items()) if isinstance(form, dict) else list(form)
        token = await self.token()
        async with self.http.post(path, data=[("csrf", token), *fields]) as answer:
            text = await answer.text()
            assert answer.status == status, (path, answer.status, text[:3_000])
            return text

    async def token(self) -> str:
        """The form token of this session."""
        async with self.http.get("/search?q=zzzz") as answer:
            text = await answer.text()
        found = re.search(r'name="csrf" value="([^"]+)"', text)
        assert found, text[:500]
        return found.group(1)

    async def sign_in(self, email: str, password: str) -> str:
        """Through the form, as a person does."""
        async with self.http.get("/login") as answer:
            found = re.search(r'name="csrf" value="([^"]+)"', await answer.text())
        assert found
        form = {"csrf": found.group(1), "email": email, "password": password}
        async with self.http.post("/login", data=form) as answer:
            return await answer.text()
