"""What writes to one model with one firmware have shown: proven, or quarantined for doing nothing."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from hashyard_agent.enforcement.model import DAY_US, EnforcementPolicy, PairRow
from hashyard_agent.ports import Identity

MAX_FAILED_UNITS: Final = 20

PairKey = tuple[str, str, str]


def key_of(identity: Identity) -> PairKey:
    """Family, model, firmware."""
    return (identity.family, identity.model, identity.firmware)


def proven(pairs: Mapping[PairKey, PairRow], identity: Identity, now_us: int) -> PairRow:
    """A write of this pair was seen to work: whatever was held against it is gone."""
    known = pairs.get(key_of(identity), PairRow(*key_of(identity)))
    return replace(known, proven_at_us=now_us, failed_units=(), quarantined_at_us=None)


def failed(
    pairs: Mapping[PairKey, PairRow], identity: Identity, unit_id: str, now_us: int, policy: EnforcementPolicy
) -> PairRow:
    """A write of this pair was accepted and not taken; enough different units put the pair into quarantine."""
    known = pairs.get(key_of(identity), PairRow(*key_of(identity)))
    units = tuple(dict.fromkeys((*known.failed_units, unit_id)))[-MAX_FAILED_UNITS:]
    quarantined = known.quarantined_at_us or (now_us if len(units) >= policy.quarantine_after else None)
    return replace(known, failed_units=units, quarantined_at_us=quarantined)


def is_quarantined(pairs: Mapping[PairKey, PairRow], identity: Identity) -> bool:
    """Whether redirects of this pair are held."""
    known = pairs.get(key_of(identity))
    return known is not None and known.quarantined_at_us is not None


def is_proven(pairs: Mapping[PairKey, PairRow], identity: Identity, now_us: int) -> bool:
    """Whether a write of this pair was seen to work within a day: no canary is needed then."""
    known = pairs.get(key_of(identity))
    return known is not None and known.proven_at_us is not None and now_us - known.proven_at_us < DAY_US
