"""Partial redirect: a share of the units, chosen to match an agreed percentage of the hashrate."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from hashyard_cloud.domain.errors import AmountError

WHOLE_PERCENT: Final = 100


@dataclass(frozen=True, slots=True)
class Candidate:
    """A unit that could be redirected, with the hashrate it is expected to have."""

    unit_id: str
    hashrate_ths: float


def chosen(candidates: Sequence[Candidate], percent: int) -> tuple[str, ...]:
    """The units to redirect: largest first, as long as the agreed percentage is not passed.

    Never more than was agreed, so that the host errs in the customer's favour; stable, so that the same units
    stay chosen while the contract's units stay the same.
    """
    if not 1 <= percent <= WHOLE_PERCENT:
        raise AmountError(f"the agreed share must be from 1 to 100 percent, not {percent}")
    if percent == WHOLE_PERCENT:
        return tuple(item.unit_id for item in candidates)
    limit = sum(item.hashrate_ths for item in candidates) * percent / WHOLE_PERCENT
    taken: list[str] = []
    reached = 0.0
    for item in sorted(candidates, key=lambda one: (-one.hashrate_ths, one.unit_id)):
        if reached + item.hashrate_ths <= limit:
            taken.append(item.unit_id)
            reached += item.hashrate_ths
    return tuple(taken)
