"""The use cases of money and enforcement, as pages, commands and jobs find them."""

from dataclasses import dataclass

from hashyard_cloud.services.commands import Commands
from hashyard_cloud.services.defaults import Defaults
from hashyard_cloud.services.evidence import Evidence
from hashyard_cloud.services.freezes import Freezes
from hashyard_cloud.services.holding_pools import HoldingPoolBook
from hashyard_cloud.services.orders import OrderDesk
from hashyard_cloud.services.payments import Payments
from hashyard_cloud.services.signing_keys import SigningKeys
from hashyard_cloud.services.unit_events import UnitEvents


@dataclass(frozen=True, slots=True)
class Enforcement:
    """Built once by the composition root. Their methods work in the caller's transaction."""

    keys: SigningKeys
    pools: HoldingPoolBook
    desk: OrderDesk
    defaults: Defaults
    freezes: Freezes
    payments: Payments
    events: UnitEvents
    evidence: Evidence
    commands: Commands
