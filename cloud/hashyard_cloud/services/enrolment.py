"""From a one-time code to an enrolled agent."""

from dataclasses import dataclass
from typing import Final

from hashyard_cloud.errors import CloudError, ConflictError, ForbiddenError, MalformedError, NotFoundError
from hashyard_cloud.services.ports.agent_trust import HoldingPools, Signer
from hashyard_cloud.services.ports.agents import AgentRow, NewAgent
from hashyard_cloud.services.ports.database import Database, Transaction
from hashyard_cloud.services.ports.enrolment import CodeRow
from hashyard_shared.clock import US_PER_S, Clock
from hashyard_shared.enrolment import EnrolmentCode
from hashyard_shared.errors import ErrorCode
from hashyard_shared.ids import new_id
from hashyard_shared.protocol import EnrolAnswer, EnrolRequest
from hashyard_shared.signing import SignatureError, decode_base64, encode_base64, fingerprint

CODE_LIFETIME_S: Final = 15 * 60
MAX_OPEN_CODES_PER_SITE: Final = 20
PUBLIC_KEY_BYTES: Final = 32
_REFUSALS: Final = {
    ErrorCode.CODE_UNKNOWN: "The enrolment code is not known; make a new one on the site's page.",
    ErrorCode.CODE_USED: "The enrolment code was used already; make a new one on the site's page.",
    ErrorCode.CODE_EXPIRED: "The enrolment code has expired (it lives 15 minutes); make a new one.",
}


@dataclass(frozen=True, slots=True)
class MintedCode:
    """A code to show once. `fingerprint` is what the agent will show of our signing key."""

    code: EnrolmentCode
    site_name: str
    expires_at_us: int


class Enrolment:
    """Codes and enrolment."""

    def __init__(self, database: Database, clock: Clock, signer: Signer, pools: HoldingPools) -> None:
        self._database = database
        self._clock = clock
        self._signer = signer
        self._pools = pools

    async def mint_code(self, organisation_id: str, site_id: str, actor: str) -> MintedCode:
        """A code for one agent at this site; only its hash is kept."""
        now_us = self._clock.now_us()
        async with self._database.transaction() as tx:
            site = await tx.sites.get(organisation_id, site_id)
            if site is None:
                raise NotFoundError(f"There is no site {site_id}.", field="site")
            if len(await tx.enrolment.open_codes(organisation_id, site_id, now_us)) >= MAX_OPEN_CODES_PER_SITE:
                raise ConflictError("This site has too many unused codes; wait until they expire.")
            keys = await self._signer.public_keys(tx, organisation_id)
            code = EnrolmentCode.mint(fingerprint(keys[0]))
            expires_at_us = now_us + CODE_LIFETIME_S * US_PER_S
            row = CodeRow(
                code_hash=code.secret_hash(),
                organisation_id=organisation_id,
                site_id=site_id,
                created_at_us=now_us,
                created_by=actor,
                expires_at_us=expires_at_us,
                used_at_us=None,
                used_by_agent_id=None,
            )
            await tx.enrolment.add(row)
        return MintedCode(code, site.name, expires_at_us)

    async def enrol(self, request: EnrolRequest, protocol: int) -> EnrolAnswer:
        """Exchange a code for an identity. Asking again with the same code and key gets the same answer."""
        public = _public_key(request.public_key)
        code_hash = _secret_hash(request.secret)
        async with self._database.transaction() as tx:
            code = await tx.enrolment.by_hash(code_hash)
            if code is None:
                raise _refused(ErrorCode.CODE_UNKNOWN)
            agent = await self._enrolled_before(tx, code, public)
            if agent is None:
                agent = await self._enrol_new(tx, code, request, public, protocol)
            return await self._answer(tx, agent)

    async def _enrolled_before(self, tx: Transaction, code: CodeRow, public: bytes) -> AgentRow | None:
        now_us = self._clock.now_us()
        if code.used_by_agent_id is not None:
            agent = await tx.agents.get(code.organisation_id, code.used_by_agent_id)
            # The answer may have been lost on the way: the same key with the same code is the same box.
            if agent and agent.public_key == encode_base64(public) and now_us < code.expires_at_us:
                return agent
            raise _refused(ErrorCode.CODE_USED)
        if now_us >= code.expires_at_us:
            raise _refused(ErrorCode.CODE_EXPIRED)
        return None

    async def _enrol_new(
        self, tx: Transaction, code: CodeRow, request: EnrolRequest, public: bytes, protocol: int
    ) -> AgentRow:
        now_us = self._clock.now_us()
        replaced = await self._replaced(tx, code, request.replaces_agent_id)
        new = NewAgent(
            agent_id=replaced.agent_id if replaced else new_id(now_us),
            site_id=code.site_id,
            name=request.name,
            public_key=encode_base64(public),
            fingerprint=fingerprint(public),
            version=request.version,
            protocol=protocol,
            epoch=replaced.epoch + 1 if replaced else 1,
            replaces_agent_id=replaced.agent_id if replaced else None,
            enrolled_at_us=now_us,
        )
        if replaced:
            agent = await tx.agents.re_enrol(code.organisation_id, new)
        else:
            agent = await tx.agents.add(code.organisation_id, new)
        if not await tx.enrolment.use(code.code_hash, now_us, agent.agent_id):
            raise _refused(ErrorCode.CODE_USED)
        await tx.desired.bump(code.organisation_id, code.site_id)
        return agent

    async def _replaced(self, tx: Transaction, code: CodeRow, agent_id: str | None) -> AgentRow | None:
        """The agent whose history a new box takes over: it must stand at the code's site."""
        if agent_id is None:
            return None
        agent = await tx.agents.get(code.organisation_id, agent_id)
        if agent is None or agent.site_id != code.site_id:
            raise NotFoundError("There is no such agent at this site to replace.", field="replaces_agent_id")
        return agent

    async def _answer(self, tx: Transaction, agent: AgentRow) -> EnrolAnswer:
        organisation = await tx.organisations.get(agent.organisation_id)
        site = await tx.sites.get(agent.organisation_id, agent.site_id)
        if organisation is None or site is None:
            raise NotFoundError
        recovery = await self._signer.recovery_key(tx, agent.organisation_id)
        return EnrolAnswer(
            agent_id=agent.agent_id,
            organisation_id=agent.organisation_id,
            organisation_name=organisation.name,
            site_id=site.site_id,
            site_name=site.name,
            timezone=site.timezone,
            epoch=agent.epoch,
            signing_keys=[encode_base64(key) for key in await self._signer.public_keys(tx, agent.organisation_id)],
            recovery_key=recovery.public_key if recovery else None,
            holding_pools=await self._pools.holding_pools(tx, agent.organisation_id),
        )


def _refused(code: ErrorCode) -> CloudError:
    return ForbiddenError(_REFUSALS[code], code=code)


def _secret_hash(secret: str) -> str:
    if not secret.isascii():
        raise _refused(ErrorCode.CODE_UNKNOWN)
    return EnrolmentCode(secret.strip().upper(), "").secret_hash()


def _public_key(text: str) -> bytes:
    try:
        public = decode_base64(text)
    except SignatureError as error:
        raise MalformedError("public_key is not base64", field="public_key") from error
    if len(public) != PUBLIC_KEY_BYTES:
        raise MalformedError(f"public_key must be {PUBLIC_KEY_BYTES} bytes", field="public_key")
    return public
