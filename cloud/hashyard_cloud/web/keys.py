"""Typed keys of what handlers find on the application. Each feature adds its own."""

from typing import Final

from aiohttp import web

from hashyard_cloud.services.agent_keys import AgentKeys
from hashyard_cloud.services.agents import Agents
from hashyard_cloud.services.desired import Desired
from hashyard_cloud.services.enforcement import Enforcement
from hashyard_cloud.services.enrolment import Enrolment
from hashyard_cloud.services.ingest import Ingest
from hashyard_cloud.services.live import Live
from hashyard_cloud.services.ports.database import Database
from hashyard_cloud.services.ports.documents import DocumentRenderer
from hashyard_cloud.services.ports.telemetry import TelemetryStore
from hashyard_cloud.services.rate_limits import RateLimit
from hashyard_shared.clock import Clock

AGENTS: Final = web.AppKey("AGENTS", Agents)
AGENT_KEYS: Final = web.AppKey("AGENT_KEYS", AgentKeys)
API_GUESS_LIMIT: Final = web.AppKey("API_GUESS_LIMIT", RateLimit)
API_LIMIT: Final = web.AppKey("API_LIMIT", RateLimit)
BASE_URL: Final = web.AppKey("BASE_URL", str)
CLOCK: Final = web.AppKey("CLOCK", Clock)
DATABASE: Final = web.AppKey("DATABASE", Database)
DOCUMENTS: Final = web.AppKey("DOCUMENTS", DocumentRenderer)
DESIRED: Final = web.AppKey("DESIRED", Desired)
ENFORCEMENT: Final = web.AppKey("ENFORCEMENT", Enforcement)
ENROLMENT: Final = web.AppKey("ENROLMENT", Enrolment)
ENROL_LIMIT: Final = web.AppKey("ENROL_LIMIT", RateLimit)
LIVE: Final = web.AppKey("LIVE", Live)
IDENTITY_LIMIT: Final = web.AppKey("IDENTITY_LIMIT", RateLimit)
INGEST: Final = web.AppKey("INGEST", Ingest)
TELEMETRY: Final = web.AppKey("TELEMETRY", TelemetryStore)
