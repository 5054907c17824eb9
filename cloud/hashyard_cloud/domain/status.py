"""A customer's status, derived and never stored."""

from enum import StrEnum


class CustomerStatus(StrEnum):
    """What the status bar shows."""

    ACTIVE = "active"
    INACTIVE = "inactive"
    IN_DEFAULT = "in-default"
    POOL_REDIRECTED = "pool-redirected"

    @property
    def label(self) -> str:
        """As people read it."""
        return self.value.replace("-", " ").title()


def customer_status(*, active: bool, cases_open: int, units_at_holding_pool: int) -> CustomerStatus:
    """The status; `units_at_holding_pool` counts level 3 and better only.

    A redirect outlives its case until the machines are seen back, so it is asked first. An account that is
    switched off is not thereby in default.
    """
    if units_at_holding_pool > 0:
        return CustomerStatus.POOL_REDIRECTED
    if cases_open > 0:
        return CustomerStatus.IN_DEFAULT
    return CustomerStatus.ACTIVE if active else CustomerStatus.INACTIVE
