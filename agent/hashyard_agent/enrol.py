"""Enrolment: spend a one-time code, compare fingerprints, and pin on site what the cloud may order at all.

The code carries the fingerprint of the organisation's signing key, so what is pinned does not rest on the network:
an answer whose keys do not contain that one is refused before anything is written. A person then sees both
fingerprints and the holding pools, and says yes.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

from hashyard_agent.errors import AgentError, CloudRefusedError, SettingsError
from hashyard_agent.identity import AgentIdentity, IdentityStore
from hashyard_agent.trust import KEY_SLOTS, Trust
from hashyard_shared.clock import Clock
from hashyard_shared.enrolment import EnrolmentCode
from hashyard_shared.errors import ErrorCode
from hashyard_shared.protocol import EnrolAnswer, EnrolRequest
from hashyard_shared.signing import (
    SignatureError,
    decode_base64,
    encode_base64,
    fingerprint,
    grouped,
    public_bytes,
)

LOG = logging.getLogger(__name__)
MAX_NAME_CHARS: Final = 64


class EnrolmentRefusedError(AgentError):
    """Enrolment stopped; nothing was changed on this machine."""

    code = ErrorCode.KEY_MISMATCH


class EnrolmentLink(Protocol):
    """The one call that needs no identity. Errors: `CloudError`."""

    async def enrol(self, request: EnrolRequest) -> EnrolAnswer:
        """Spend the code."""
        ...


class TrustStore(Protocol):
    """The trust document's place on site. Errors: `SettingsError`, `StoreError`."""

    def read(self) -> Trust | None:
        """The document, or None when there is none."""
        ...

    def write(self, trust: Trust) -> None:
        """Replace it."""
        ...


class EpochStore(Protocol):
    """Where the epoch of new rows is kept. Errors: `StoreError`."""

    def adopt_epoch(self, epoch: int) -> None:
        """Stamp new rows with this epoch."""
        ...


@dataclass(frozen=True, slots=True)
class Offer:
    """What a person is asked to confirm."""

    answer: EnrolAnswer
    agent_fingerprint: str
    signing_fingerprints: tuple[str, ...]
    named_fingerprint: str
    replaces: AgentIdentity | None


@dataclass(frozen=True, slots=True)
class Enrolment:
    """The use case. `confirm` shows the offer to a person."""

    link: EnrolmentLink
    identities: IdentityStore
    trusts: TrustStore
    epochs: EpochStore
    clock: Clock
    confirm: Callable[[Offer], bool]

    async def enrol(
        self, code_text: str, *, name: str, version: str, cloud_url: str, replaces_agent_id: str | None
    ) -> AgentIdentity:
        """Enrol this machine. Errors: `EnrolmentCodeError`, `EnrolmentRefusedError`, `CloudError`, `StoreError`.

        A machine that was enrolled before names its former identity, so that the cloud keeps the site's history
        and takes nothing that was delivered before for new.
        """
        code = EnrolmentCode.parse(code_text)
        former = self.identities.enrolled()
        key = self.identities.new_key()
        request = EnrolRequest(
            secret=code.secret,
            public_key=encode_base64(public_bytes(key)),
            name=name[:MAX_NAME_CHARS],
            version=version,
            replaces_agent_id=replaces_agent_id or (former.agent_id if former else None),
        )
        answer = await self._spend(request, moved_allowed=replaces_agent_id is None and former is not None)
        fingerprints = _checked_keys(code, answer)
        trust = self._trust(answer)
        offer = Offer(answer, fingerprint(public_bytes(key)), fingerprints, code.signing_key_fingerprint, former)
        if not self.confirm(offer):
            raise EnrolmentRefusedError(
                "Not confirmed: nothing was pinned on this machine. The code is spent; revoke the agent "
                f"{answer.agent_id} on the site's page in the cloud, and make a new code there."
            )
        identity = AgentIdentity(
            agent_id=answer.agent_id,
            name=name[:MAX_NAME_CHARS],
            organisation_id=answer.organisation_id,
            organisation_name=answer.organisation_name,
            site_id=answer.site_id,
            site_name=answer.site_name,
            timezone=answer.timezone,
            epoch=answer.epoch,
            key_fingerprint=offer.agent_fingerprint,
            cloud_url=cloud_url,
            enrolled_at_us=self.clock.now_us(),
        )
        self.trusts.write(trust)
        self.epochs.adopt_epoch(answer.epoch)
        # Last: with the identity in place the agent is enrolled, and all it needs is there.
        self.identities.adopt(identity)
        return identity

    async def _spend(self, request: EnrolRequest, *, moved_allowed: bool) -> EnrolAnswer:
        """Spend the code. A machine whose former identity is unknown at the code's site was moved there."""
        try:
            return await self.link.enrol(request)
        except CloudRefusedError as error:
            if error.code is not ErrorCode.NOT_FOUND or not moved_allowed:
                raise
        return await self.link.enrol(request.model_copy(update={"replaces_agent_id": None}))

    def _trust(self, answer: EnrolAnswer) -> Trust:
        """What to pin. What people entered on site for this organisation stays; another one's does not."""
        try:
            known = self.trusts.read()
        except SettingsError as error:
            LOG.warning("the old trust file is replaced: %s", error)
            known = None
        fresh = {
            "organisation_id": answer.organisation_id,
            "site_id": answer.site_id,
            "signing_keys": tuple(answer.signing_keys[:KEY_SLOTS]),
            "holding_pools": tuple(answer.holding_pools),
        }
        if known is None or known.organisation_id != answer.organisation_id:
            return Trust.model_validate({**fresh, "recovery_key": answer.recovery_key})
        gone = tuple(pool for pool in known.holding_pools if pool not in answer.holding_pools)
        kept = known.model_dump(exclude=set(fresh))
        # A recovery key that was pinned here stays: it is what guards against a cloud that changed hands.
        kept["recovery_key"] = known.recovery_key or answer.recovery_key
        kept["retired_pools"] = (*known.retired_pools, *gone)
        return Trust.model_validate({**kept, **fresh})


def _checked_keys(code: EnrolmentCode, answer: EnrolAnswer) -> tuple[str, ...]:
    try:
        fingerprints = tuple(fingerprint(decode_base64(key)) for key in answer.signing_keys)
    except SignatureError as error:
        raise EnrolmentRefusedError("the cloud sent a signing key that cannot be read") from error
    if code.signing_key_fingerprint not in fingerprints:
        raise EnrolmentRefusedError(
            f"The code names the signing key {grouped(code.signing_key_fingerprint)}, but the cloud sent "
            f"{', '.join(grouped(text) for text in fingerprints) or 'none'}. Somebody may be in between, or the "
            "code is of another organisation. Nothing was pinned; ask the host before you try again."
        )
    return fingerprints
