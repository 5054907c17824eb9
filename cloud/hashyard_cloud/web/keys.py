"""Typed keys of what handlers find on the application. Each feature adds its own."""

from typing import Final

from aiohttp import web

from hashyard_cloud.services.ports.database import Database
from hashyard_shared.clock import Clock

CLOCK: Final = web.AppKey("CLOCK", Clock)
DATABASE: Final = web.AppKey("DATABASE", Database)
BASE_URL: Final = web.AppKey("BASE_URL", str)
