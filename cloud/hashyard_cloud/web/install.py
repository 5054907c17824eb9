"""Puts pages on an application: templates, static files, middlewares, routes. The composition root calls it."""

from aiohttp import web

from hashyard_cloud.services.live import Live
from hashyard_cloud.web import account, host, keys, live, portal, render, security
from hashyard_cloud.web.api import v1
from hashyard_cloud.web.background import BACKGROUND, Background
from hashyard_cloud.web.memory import MEMORY, ShortMemory
from hashyard_cloud.web.pages import errors_middleware
from hashyard_cloud.web.static_files import StaticFiles


def install(app: web.Application) -> None:
    """Add everything people look at; raises `AssetsMissingError` when the browser's files are not installed."""
    static = StaticFiles()
    app[render.STATIC] = static
    app[MEMORY] = ShortMemory(app[keys.CLOCK])
    app[keys.LIVE] = Live()
    # What a page is told to look at anew must not come out of a memory of before.
    app[keys.LIVE].also_tell(app[MEMORY].forget)
    app.on_shutdown.append(live.stop)
    app.on_shutdown.append(app[MEMORY].settled)
    app[render.ENVIRONMENT] = render.environment(static)
    app.middlewares.extend((security.headers_middleware, errors_middleware, v1.MIDDLEWARE))
    app[BACKGROUND] = Background()
    app.on_shutdown.append(app[BACKGROUND].stop)
    app.router.add_get("/static/{name}", static.serve)
    app.router.add_routes(v1.routes())
    app.router.add_routes(live.routes())
    app.router.add_routes(host.routes())
    app.router.add_routes(portal.routes())
    app.router.add_routes(account.routes())
