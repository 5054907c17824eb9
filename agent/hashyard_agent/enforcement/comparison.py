"""When two pool lists are the same, and which settings differ. Pure."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from hashyard_agent.ports import Pool, PoolGroup
from hashyard_shared.events import PoolSeen

PLAIN_SCHEME: Final = "stratum+tcp://"
_LABEL_UNSAFE: Final = re.compile(r"[^A-Za-z0-9_-]+")
MAX_LABEL_CHARS: Final = 32
UNIT_MARK: Final = "{unit}"


def bare_url(url: str) -> str:
    """The URL without a `stratum+tcp://`, which some firmwares drop when read. Nothing else is parsed."""
    text = url.strip()
    return text[len(PLAIN_SCHEME) :] if text.lower().startswith(PLAIN_SCHEME) else text


def same_url(left: str, right: str) -> bool:
    """Whether two URLs name the same pool; a missing `stratum+tcp://` alone does not make a difference."""
    return bare_url(left) == bare_url(right)


def same_pool(wanted: Pool, read: Pool) -> bool:
    """Whether what was read is what was wanted; a password that cannot be read proves nothing either way."""
    password = wanted.password is None or read.password is None or wanted.password == read.password
    same = same_url(wanted.url, read.url) and wanted.worker == read.worker
    return same and wanted.enabled == read.enabled and password


def is_blank(pool: Pool) -> bool:
    """An empty slot."""
    return not pool.url.strip()


def trimmed(pools: Sequence[Pool]) -> list[Pool]:
    """The pools without the empty slots at the end; an empty slot in between is kept, for it is a position."""
    kept = list(pools)
    while kept and is_blank(kept[-1]):
        kept.pop()
    return kept


def same_groups(wanted: Sequence[PoolGroup], read: Sequence[PoolGroup]) -> bool:
    """Whether the groups are the same, in order, with their names and quotas."""
    if len(wanted) != len(read):
        return False
    for want, have in zip(wanted, read, strict=True):
        left, right = trimmed(want.pools), trimmed(have.pools)
        same_part = (want.name, want.quota, want.share) == (have.name, have.quota, have.share)
        if not same_part or len(left) != len(right):
            return False
        if not all(same_pool(one, other) for one, other in zip(left, right, strict=True)):
            return False
    return True


def came_out_late(restored: Sequence[PoolGroup], read: Sequence[PoolGroup]) -> bool:
    """Whether the miner shows another list of nothing but the restored pools: our own writes, not a person's."""
    if not restored or same_groups(restored, read):
        return False
    known = [pool for group in restored for pool in group.pools]
    shown_now = [pool for group in read for pool in group.pools if not is_blank(pool)]
    return bool(shown_now) and all(any(same_pool(one, pool) for one in known) for pool in shown_now)


def all_blank(groups: Iterable[PoolGroup]) -> bool:
    """Whether no pool is named at all: a failed read, and never something to write."""
    return all(is_blank(pool) for group in groups for pool in group.pools)


def names_pool(groups: Iterable[PoolGroup], url: str, worker: str) -> bool:
    """Whether any slot holds this pool for this worker."""
    return any(
        same_url(pool.url, url) and worker_matches(worker, pool.worker)
        for group in groups
        for pool in group.pools
        if not is_blank(pool)
    )


def seen_in(seen: PoolSeen, groups: Iterable[PoolGroup]) -> bool:
    """Whether the pool that the miner says it uses is one of these."""
    return any(
        same_url(pool.url, seen.url) and pool.worker == seen.worker
        for group in groups
        for pool in group.pools
        if not is_blank(pool)
    )


def worker_for(template: str, label: str) -> str:
    """The worker of one unit: `{unit}` becomes the unit's label, reduced to characters that pools accept."""
    safe = _LABEL_UNSAFE.sub("-", label).strip("-")[:MAX_LABEL_CHARS] or "unit"
    return template.replace(UNIT_MARK, safe)


def worker_matches(template: str, worker: str) -> bool:
    """Whether a worker is what the template gives for some unit."""
    parts = (re.escape(part) for part in template.split(UNIT_MARK))
    return re.fullmatch(r"[A-Za-z0-9_-]+".join(parts), worker) is not None


def differing(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """The names of settings that are not the same before and after, sorted."""
    return sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))


def shown(groups: Iterable[PoolGroup]) -> list[list[str]]:
    """URL and worker of each pool, for journals and people; never a password."""
    return [[pool.url, pool.worker] for group in groups for pool in group.pools if not is_blank(pool)]
