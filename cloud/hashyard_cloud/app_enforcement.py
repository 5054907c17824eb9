"""Composition of money and enforcement, for the service and the command line alike."""

from typing import Final

from hashyard_cloud.adapters.pdf import PdfRenderer
from hashyard_cloud.adapters.smtp import SmtpTransport
from hashyard_cloud.jobs.runner import Job
from hashyard_cloud.services.commands import Commands
from hashyard_cloud.services.defaults import Defaults, Rules
from hashyard_cloud.services.dunning import Dunning
from hashyard_cloud.services.emails import Postman
from hashyard_cloud.services.enforcement import Enforcement
from hashyard_cloud.services.evidence import Evidence
from hashyard_cloud.services.freezes import Freezes
from hashyard_cloud.services.holding_pools import HoldingPoolBook
from hashyard_cloud.services.journal import Journals
from hashyard_cloud.services.journal_heads import JournalHeads
from hashyard_cloud.services.orders import LeaseTerms, OrderDesk
from hashyard_cloud.services.payments import Payments
from hashyard_cloud.services.ports.database import Database
from hashyard_cloud.services.ports.secrets import SecretBox
from hashyard_cloud.services.recovery import Recovery
from hashyard_cloud.services.renewals import Renewals
from hashyard_cloud.services.signing_keys import SigningKeys
from hashyard_cloud.services.unit_events import UnitEvents
from hashyard_cloud.settings import Settings
from hashyard_shared.clock import Clock

TERMS_INTERVAL_S: Final = 300
"""How often it is looked whether a contract's term comes to its end."""
HEADS_INTERVAL_S: Final = 60
"""How often it is looked whether a day's journal heads are published already."""


def enforcement(settings: Settings, clock: Clock, box: SecretBox) -> Enforcement:
    """Build them from the settings of the gate."""
    gate = settings.gate
    terms = LeaseTerms(gate.lease_s, gate.lease_renewal_s, gate.refused_retry_s)
    keys = SigningKeys(box, clock)
    desk = OrderDesk(clock, keys, terms)
    defaults = Defaults(clock, desk, Rules(bounce_wait_s=gate.notice_bounce_wait_s))
    return Enforcement(
        keys=keys,
        pools=HoldingPoolBook(box, clock),
        desk=desk,
        defaults=defaults,
        freezes=Freezes(clock, defaults),
        payments=Payments(clock, defaults),
        events=UnitEvents(clock, Journals(clock), terms),
        evidence=Evidence(clock, keys, defaults, PdfRenderer()),
        commands=Commands(clock),
    )


def jobs(settings: Settings, database: Database, clock: Clock, built: Enforcement) -> list[Job]:
    """The scheduled work of money and enforcement."""
    smtp = settings.smtp
    transport = SmtpTransport(smtp, smtp.host) if smtp.host else None
    tick_s = settings.job_interval_s
    dunning = Dunning(database, clock, built.defaults, built.desk)
    recovery = Recovery(database, clock, built.defaults, settings.gate.booking_lag_s)
    return [
        Job("dunning", tick_s, dunning.run),
        Job("email", tick_s, Postman(database, clock, transport).run),
        Job("journal-heads", max(tick_s, HEADS_INTERVAL_S), JournalHeads(database, clock).run),
        Job("terms", max(tick_s, TERMS_INTERVAL_S), Renewals(database, clock).run),
        Job("recovery", max(tick_s, settings.gate.recovery_interval_s), recovery.run),
    ]
