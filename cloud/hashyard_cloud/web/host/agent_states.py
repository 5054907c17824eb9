"""An agent's state as pages tell it: live, with a backlog, silent, revoked, or none at all."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from pydantic import ValidationError

from hashyard_cloud.services.ports.agents import AgentRow
from hashyard_cloud.web import format as formats
from hashyard_shared.clock import US_PER_S
from hashyard_shared.events import Health

CONTACT_S: Final = 120
"""A long-poll lasts under a minute: two minutes of silence are a lost link."""
BACKLOG_S: Final = 120
"""Readings older than this that wait to be sent are a backlog worth telling."""


@dataclass(frozen=True, slots=True)
class AgentState:
    """What to show: the colour's class, the icon, the words."""

    kind: str
    icon: str
    text: str
    in_contact: bool = False
    health: Health | None = None


def health_of(agent: AgentRow) -> Health | None:
    """What the agent said of itself last, None where it said nothing that can be read."""
    if agent.health is None:
        return None
    try:
        return Health.model_validate_json(agent.health)
    except ValidationError:
        return None


def agent_state(agents: Sequence[AgentRow], now_us: int) -> AgentState:
    """The state of a site's agents: of the one that was heard last."""
    active = [row for row in agents if row.revoked_at_us is None]
    if not active:
        text = "Agent revoked" if agents else "No agent yet"
        return AgentState("", "plug-x", text)
    agent = max(active, key=lambda row: row.last_seen_us or 0)
    health = health_of(agent)
    if agent.clone_suspected_at_us is not None:
        return AgentState("bad", "alert-triangle", "Two boxes, one identity", True, health)
    if agent.last_seen_us is None:
        return AgentState("", "circle-dashed", "Never connected", False, health)
    silent_us = now_us - agent.last_seen_us
    if silent_us > CONTACT_S * US_PER_S:
        return AgentState("bad", "cloud-off", f"Silent {formats.duration(silent_us)}", False, health)
    return _heard(health)


def _heard(health: Health | None) -> AgentState:
    if health and health.emergency_stop:
        return AgentState("bad", "hand-stop", "Emergency stop", True, health)
    if health and health.oldest_at_us is not None:
        waiting_us = health.at_us - health.oldest_at_us
        if waiting_us > BACKLOG_S * US_PER_S:
            return AgentState("warn", "alert-circle", f"Backlog {formats.duration(waiting_us)}", True, health)
    return AgentState("good", "circle-check", "Agent live", True, health)
