"""The fast lane: what a firmware profile says to ask, asked raw, and read by the profile's paths."""

from typing import Any, Final

from hashyard_agent import documents
from hashyard_agent.adapters import wire
from hashyard_agent.adapters.credentials import Credential, CredentialStore
from hashyard_agent.errors import MinerError, MinerMalformedError
from hashyard_agent.ports import Details, Identity, Reading
from hashyard_profiles import Profile, Profiles
from hashyard_profiles.model import Fast, Request, Section, Transport
from hashyard_shared.ids import MalformedIdError, normalise_mac
from hashyard_shared.telemetry import MinerState

Documents = dict[str, Any]
MAX_TEXT_CHARS: Final = 128
_ALL_ZERO: Final = "every figure is zero: the firmware shows placeholders"


class ProfileReader:
    """Reads miners by their profiles. One connection at a time to a miner; the caller holds its lock."""

    def __init__(self, profiles: Profiles, http: wire.HttpWire, credentials: CredentialStore) -> None:
        self._profiles = profiles
        self._http = http
        self._credentials = credentials

    async def read(self, identity: Identity, timeout_s: float) -> Reading:
        """Read once. Errors: `MinerError` and its kinds; a partial answer is a degraded reading, not an error."""
        profile = self._profile(identity)
        async with wire.deadline(identity.ip, timeout_s):
            found, problem = await self._ask(identity, profile, profile.fast)
        return reading_of(identity.ip, profile, found, problem)

    async def details(self, identity: Identity, timeout_s: float) -> Details:
        """What the fast lane's answers tell: every pool slot, verbatim, fans, and boards where they are rows."""
        profile = self._profile(identity)
        async with wire.deadline(identity.ip, timeout_s):
            found, _ = await self._ask(identity, profile, profile.fast)
        return Details(
            identity=identity,
            boards=documents.read_boards(profile.fast.boards, found),
            fans_rpm=documents.read_list(profile.fast.fields.fan_rpm, found),
            pools=documents.read_pools(profile.fast.pools, found),
        )

    async def who(self, ip: str, profile: Profile, timeout_s: float) -> Identity:
        """Ask the device itself who it is, as a device of this family. Errors: `MinerError` and its kinds."""
        asked = Identity(ip, None, None, profile.family, profile.make, "", "")
        async with wire.deadline(ip, timeout_s):
            found, _ = await self._ask(asked, profile, profile.identity)
        fields = profile.identity.fields
        return Identity(
            ip=ip,
            mac=_mac(documents.read_text(fields.mac, found)),
            serial=_text(documents.read_text(fields.serial, found)) or None,
            family=profile.family,
            make=profile.make,
            model=_text(documents.read_text(fields.model, found)),
            firmware=_text(documents.read_text(fields.firmware, found)),
        )

    def _profile(self, identity: Identity) -> Profile:
        profile = self._profiles.get(identity.family)
        if profile is None:
            raise MinerMalformedError(identity.ip, f"no firmware profile is called {identity.family!r}")
        return profile

    async def _ask(self, identity: Identity, profile: Profile, section: Section) -> tuple[Documents, str]:
        """Answers by request name, and what went wrong; the first error is raised when nothing was answered."""
        found: Documents = {}
        first_error: MinerError | None = None
        for group in _groups(section):
            try:
                found |= await self._send(identity, profile, section, group)
            except MinerError as error:
                if not all(request.optional for request in group):
                    first_error = first_error or error
        if first_error is not None and not found:
            raise first_error
        return found, "" if first_error is None else str(first_error)

    async def _send(
        self, identity: Identity, profile: Profile, section: Section, group: tuple[Request, ...]
    ) -> Documents:
        request = group[0]
        transport = request.transport or section.transport
        if transport is Transport.CGMINER:
            port = request.port or section.port
            if len(group) > 1:
                return _split(
                    await wire.cgminer(identity.ip, "+".join(r.command for r in group), port=port), group
                )
            return {request.name: await wire.cgminer(identity.ip, request.command, request.parameter, port)}
        if transport is Transport.WHATSMINER_V3:
            return {request.name: await wire.whatsminer_v3(identity.ip, request.command, request.parameter)}
        credential = self.credential(identity, profile)
        answer = await self._http.json(identity.ip, request.command, auth=request.auth, credential=credential)
        return {request.name: answer}

    def credential(self, identity: Identity, profile: Profile) -> Credential | None:
        """How to log in to this miner."""
        return self._credentials.find(
            ip=identity.ip, mac=identity.mac, family=profile.family, names=profile.credentials
        )


def reading_of(ip: str, profile: Profile, found: Documents, problem: str) -> Reading:
    """A reading from a device's answers; raises `MinerMalformedError` when they hold no hash rate."""
    fast: Fast = profile.fast
    fields = fast.fields
    hashrate_ths = documents.read_number(fields.hashrate_ths, found)
    if hashrate_ths is None or hashrate_ths < 0:
        raise MinerMalformedError(ip, problem or "the answer holds no hash rate")
    pool = documents.active_pool(documents.read_pools(fast.pools, found))
    reading = Reading(
        state=MinerState.DEGRADED if problem else MinerState.ONLINE,
        hashrate_ths=hashrate_ths,
        power_w=documents.read_whole(fields.power_w, found),
        temp_chip_c=documents.read_number(fields.temp_chip_c, found),
        temp_board_c=documents.read_number(fields.temp_board_c, found),
        fan_rpm=documents.read_whole(fields.fan_rpm, found),
        uptime_s=documents.read_whole(fields.uptime_s, found),
        shares_accepted=documents.read_whole(fields.shares_accepted, found),
        shares_rejected=documents.read_whole(fields.shares_rejected, found),
        active_pool=None if pool is None else (pool.url, pool.worker),
        expected_hashrate_ths=documents.read_number(fields.expected_hashrate_ths, found),
        problem=problem,
    )
    if _is_placeholder(reading):
        raise MinerMalformedError(ip, _ALL_ZERO)
    return reading


def _is_placeholder(reading: Reading) -> bool:
    """A stopped miner still has an uptime, a temperature and mostly a fan; one that shows none was not read."""
    shown = (reading.hashrate_ths, reading.power_w, reading.fan_rpm, reading.temp_chip_c, reading.temp_board_c)
    return not any(shown) and not reading.uptime_s


def _groups(section: Section) -> list[tuple[Request, ...]]:
    """Requests that travel together: joined cgminer commands in one, everything else by itself."""
    joined = [
        request
        for request in section.requests
        if section.joined
        and (request.transport or section.transport) is Transport.CGMINER
        and request.parameter is None
        and not request.optional
    ]
    groups = [tuple(joined)] if joined else []
    return groups + [(request,) for request in section.requests if request not in joined]


def _split(answer: dict[str, Any], group: tuple[Request, ...]) -> Documents:
    """A joined answer holds one list for each command; what is missing was not answered."""
    found: Documents = {}
    for request in group:
        parts = answer.get(request.command)
        if isinstance(parts, list) and parts:
            found[request.name] = parts[0]
    return found


def _mac(text: str | None) -> str | None:
    if text is None:
        return None
    try:
        return normalise_mac(text)
    except MalformedIdError:
        return None  # a placeholder of the firmware; the device then goes by its serial


def _text(text: str | None) -> str:
    """Without quotes and without what firmwares add in brackets."""
    return "" if text is None else text.strip("'\" ").partition(" (")[0][:MAX_TEXT_CHARS]
