"""What the writers of all families share: credentials in turn, pools out of cgminer rows, blank lists refused."""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any, Final, TypeVar

from hashyard_agent.enforcement.comparison import all_blank
from hashyard_agent.errors import MinerAuthError, MinerMalformedError
from hashyard_agent.ports import Credential, CredentialStore, Identity, MinerConfig, Pool, PoolGroup
from hashyard_shared.errors import ErrorCode
from hashyard_shared.events import PoolSeen
from hashyard_shared.ids import MalformedIdError, normalise_mac

READ_TIMEOUT_S: Final = 20.0
WRITE_TIMEOUT_S: Final = 45.0
MAX_REMEMBERED: Final = 20_000
MAX_POOL_ROWS: Final = 64
_TRUE: Final = frozenset({True, "true", "Y"})

_OFF: Final = frozenset({"disabled", "rejecting"})

T = TypeVar("T")
Row = Mapping[str, Any]


class PoolsBlankError(MinerMalformedError):
    """The miner shows no pools: the read failed, and nothing may be concluded or written from it."""

    miner_code = ErrorCode.POOLS_BLANK


class Logins:
    """Tries a miner's credentials in turn and remembers which one it took."""

    def __init__(self, credentials: CredentialStore) -> None:
        self._credentials = credentials
        self._taken: dict[str, Credential] = {}

    async def first(self, identity: Identity, act: Callable[[Credential], Awaitable[T]]) -> T:
        """Act with the first credential that is not refused; refusal has no effect. Else `MinerAuthError`."""
        refused: MinerAuthError | None = None
        for credential in self._in_turn(identity):
            try:
                answer = await act(credential)
            except MinerAuthError as error:
                refused = error
                self._taken.pop(_key(identity), None)
                continue
            self._remember(identity, credential)
            return answer
        raise refused or MinerAuthError(identity.ip, "no credential is known for this miner")

    def _in_turn(self, identity: Identity) -> list[Credential]:
        known = list(self._credentials.for_miner(identity))
        taken = self._taken.get(_key(identity))
        if taken is None:
            return known
        # The remembered one first, if the site still has it: a changed file must not be outlived by memory.
        return sorted(known, key=lambda one: (one.username, one.password) != (taken.username, taken.password))

    def _remember(self, identity: Identity, credential: Credential) -> None:
        if len(self._taken) >= MAX_REMEMBERED:
            self._taken.clear()
        self._taken[_key(identity)] = credential


def _key(identity: Identity) -> str:
    return identity.mac or identity.ip


def identified(
    known: Identity, *, mac: object, serial: object, model: object, firmware: object, family: str
) -> Identity:
    """Who answered, from what the device itself said. Errors: `MinerMalformedError` without a usable MAC."""
    if not isinstance(mac, str):
        raise MinerMalformedError(known.ip, "the device does not tell its MAC address")
    try:
        normal = normalise_mac(mac)
    except MalformedIdError as error:
        raise MinerMalformedError(known.ip, str(error)) from error
    return Identity(
        ip=known.ip,
        mac=normal,
        serial=str(serial).strip() or None if serial else None,
        family=family,
        make=known.make,
        model=str(model or known.model),
        firmware=str(firmware or known.firmware),
    )


def checked(
    ip: str, groups: Sequence[PoolGroup], raw: Mapping[str, Any], settings: Mapping[str, Any]
) -> MinerConfig:
    """The configuration, unless it names no pool at all. Errors: `PoolsBlankError`."""
    if not groups or all_blank(groups):
        raise PoolsBlankError(ip)
    return MinerConfig(tuple(groups), raw, settings)


def refuse_blank(ip: str, groups: Sequence[PoolGroup]) -> None:
    """The last guard before a write. Errors: `PoolsBlankError`, `MinerMalformedError`."""
    if not groups or all_blank(groups):
        raise PoolsBlankError(ip, "refusing to write an empty pool list")
    if any(pool.password is None for group in groups for pool in group.pools if pool.url):
        raise MinerMalformedError(ip, "refusing to write a pool whose password is not known")


def section(ip: str, answer: Mapping[str, Any], name: str) -> list[dict[str, Any]]:
    """The rows of a section of a cgminer answer, joined or not. Errors: `MinerMalformedError`."""
    found = answer.get(name)
    if found is None and isinstance(answer.get(name.lower()), list) and answer[name.lower()]:
        found = answer[name.lower()][0].get(name)
    if not isinstance(found, list) or not all(isinstance(row, dict) for row in found):
        raise MinerMalformedError(ip, f"the answer has no {name}")
    return found[:MAX_POOL_ROWS]


def by_priority(rows: Iterable[Row]) -> list[Row]:
    """Pool rows in the order in which the miner prefers them."""
    return sorted(rows, key=lambda row: (int(row.get("Priority", 0)), int(row.get("POOL", 0))))


def configured(rows: Iterable[Row]) -> tuple[Pool, ...]:
    """Rows of `pools` as configured pools; this API never gives a password back."""
    return tuple(
        Pool(
            str(row.get("URL", "")),
            str(row.get("User", "")),
            None,
            enabled=str(row.get("Status", "")).lower() not in _OFF,
        )
        for row in by_priority(rows)
    )


def seen_pools(rows: Iterable[Row]) -> tuple[PoolSeen, ...]:
    """Rows of `pools` as what the miner says of them."""
    return tuple(
        PoolSeen(
            slot=slot,
            url=str(row.get("URL", ""))[:512],
            worker=str(row.get("User", ""))[:256],
            active=row.get("Stratum Active") in _TRUE,
            alive=str(row.get("Status", "")).lower() == "alive",
            accepted=whole(row.get("Accepted")),
            rejected=whole(row.get("Rejected")),
        )
        for slot, row in enumerate(by_priority(rows))
    )


def whole(value: object) -> int | None:
    """A count as the device tells it, or None."""
    if isinstance(value, bool) or value is None:
        return None
    try:
        return int(float(str(value)))
    except ValueError:
        return None


def first_reason(
    groups: Sequence[PoolGroup], *, max_slots: int, max_groups: int, forbidden: str = ""
) -> str | None:
    """Why groups do not fit a family, as far as all families are alike; None when they fit."""
    if len(groups) > max_groups:
        return f"{len(groups)} pool groups, and this firmware can be written {max_groups}"
    for group in groups:
        if len(group.pools) > max_slots:
            return f"{len(group.pools)} pools, and this firmware can be written {max_slots}"
        for pool in group.pools:
            text = f"{pool.url}{pool.worker}{pool.password or ''}"
            bad = next((mark for mark in forbidden if mark in text), None)
            if bad is not None:
                return f"a pool holds the character {bad!r}, which this firmware's API cannot carry"
            if any(not mark.isprintable() for mark in text):
                return "a pool holds a character that cannot be printed"
    return None
