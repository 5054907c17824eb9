"""The OpenAPI document and a page to read it on, both for everybody."""

import json
from collections.abc import Sequence
from importlib.metadata import version
from typing import Any, Final

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler

from hashyard_cloud.services.api_tokens import Area, scope
from hashyard_cloud.web import keys, security
from hashyard_cloud.web.api.v1 import openapi
from hashyard_cloud.web.api.v1.operations import PREFIX, Operation
from hashyard_cloud.web.render import html

PUBLIC: Final = "public"


def routes(operations: Sequence[Operation]) -> list[web.RouteDef]:
    """Document and page."""
    return [
        web.get(f"{PREFIX}/openapi.json", _document(operations)),
        web.get(f"{PREFIX}/docs", _page(operations)),
    ]


def made(app: web.Application, operations: Sequence[Operation]) -> dict[str, Any]:
    """The document of this service."""
    return openapi.document(operations, app[keys.BASE_URL], version("hashyard"))


def _document(operations: Sequence[Operation]) -> Handler:
    async def openapi_json(request: web.Request) -> web.StreamResponse:
        text = json.dumps(made(request.app, operations), separators=(",", ":"))
        response = web.Response(text=text, content_type="application/json")
        response.headers[hdrs.CACHE_CONTROL] = "max-age=300"
        response.enable_compression()
        return response

    return openapi_json


def _page(operations: Sequence[Operation]) -> Handler:
    async def docs(request: web.Request) -> web.StreamResponse:
        found = made(request.app, operations)
        areas = [
            (area, [one for one in operations if one.area is area])
            for area in Area
            if any(one.area is area for one in operations)
        ]
        return html(
            request.app,
            "api/reference.html",
            areas=areas,
            scope=scope,
            prefix=PREFIX,
            introduction=openapi.INTRODUCTION,
            problems=openapi.PROBLEMS,
            parameters={one.name: found["paths"][PREFIX + one.path][one.method.lower()] for one in operations},
            schemas=found["components"]["schemas"],
            theme=request.cookies.get(security.THEME_COOKIE, "auto"),
        )

    return docs
