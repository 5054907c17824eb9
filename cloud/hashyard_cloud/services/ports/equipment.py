"""Equipment: billed units, and who had each of them from when to when."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol


class UnitState(StrEnum):
    """Where a unit stands in its life. Only staged and unassigned ones can be assigned."""

    STAGED = "staged"
    UNASSIGNED = "unassigned"
    ACTIVE = "active"
    REPAIR = "repair"
    RETIRED = "retired"


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitRow:
    """A billed asset. `label` is what people call it, mostly its position; `mac` is lower case with colons."""

    unit_id: str
    organisation_id: str
    site_id: str
    label: str
    position: str
    serial: str
    mac: str | None
    model: str
    state: UnitState
    expected_hashrate_ths: float | None
    nameplate_w: int | None
    host_owned: bool
    state_since_us: int
    created_us: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AssignmentRow:
    """A unit under a contract, `[from_us, to_us)`; `to_us` is None while it lasts."""

    assignment_id: str
    organisation_id: str
    unit_id: str
    contract_id: str
    customer_id: str
    from_us: int
    to_us: int | None
    ended_by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BoundUnit:
    """A unit with its present owner, as the desired state and the redirect need it."""

    unit: UnitRow
    assignment: AssignmentRow | None
    customer_name: str | None


class EquipmentStore(Protocol):
    """Units and dated assignments. A second open assignment of a unit is refused by the database."""

    async def add(self, row: UnitRow) -> None: ...

    async def get(self, organisation_id: str, unit_id: str) -> UnitRow | None: ...

    async def by_mac(self, organisation_id: str, mac: str) -> UnitRow | None: ...

    async def by_serial(self, organisation_id: str, serial: str) -> UnitRow | None: ...

    async def update(self, row: UnitRow) -> None: ...

    async def all(self, organisation_id: str, site_id: str | None = None) -> list[UnitRow]:
        """By label."""
        ...

    async def labels(self, organisation_id: str) -> set[str]:
        """Every label that is taken."""
        ...

    async def remove(self, organisation_id: str, unit_id: str) -> None:
        """Take a unit out that was never anybody's."""
        ...

    async def some(self, organisation_id: str, unit_ids: Sequence[str]) -> list[UnitRow]:
        """These units, in no order; those that are not there are left out."""
        ...

    async def bound(
        self,
        organisation_id: str,
        *,
        site_id: str | None = None,
        customer_id: str | None = None,
        contract_id: str | None = None,
    ) -> list[BoundUnit]:
        """Units with their open assignment, by label.

        With `customer_id` or `contract_id` only units that are assigned there now.
        """
        ...

    async def assign(self, row: AssignmentRow) -> None:
        """Open an assignment; raises `ConflictError` where the unit has one."""
        ...

    async def end_assignment(self, organisation_id: str, unit_id: str, to_us: int, ended_by: str) -> bool:
        """Close the open assignment, if there is one."""
        ...

    async def open_assignment(self, organisation_id: str, unit_id: str) -> AssignmentRow | None: ...

    async def assignments(
        self,
        organisation_id: str,
        *,
        unit_id: str | None = None,
        contract_id: str | None = None,
        customer_id: str | None = None,
    ) -> list[AssignmentRow]:
        """All, open and closed, newest first; for usage between two times intersect with `[from_us, to_us)`."""
        ...
