"""Braiins OS+: gRPC on port 50051. `SetPoolGroups` replaces all groups at once and touches nothing else.

Groups carry a name and a quota or fixed share each; a writer that does not copy them loses them. Passwords come
back in the configuration.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

from grpclib.client import Channel
from grpclib.const import Cardinality, Status
from grpclib.exceptions import GRPCError, ProtocolError, StreamTerminatedError

from hashyard_agent.adapters.pyasic_driver import load_pyasic
from hashyard_agent.adapters.writers.base import (
    READ_TIMEOUT_S,
    WRITE_TIMEOUT_S,
    Logins,
    checked,
    first_reason,
    identified,
    refuse_blank,
)
from hashyard_agent.errors import (
    MinerAuthError,
    MinerConnectionError,
    MinerMalformedError,
    MinerRefusedError,
    MinerTimeoutError,
)
from hashyard_agent.ports import (
    Credential,
    CredentialStore,
    Identity,
    MinerConfig,
    Pool,
    PoolGroup,
    PoolStatus,
    WriterTraits,
)
from hashyard_shared.events import PoolSeen

SLOTS: Final = 8
GROUPS: Final = 8
PORT: Final = 50_051
LOGIN: Final = "/braiins.bos.v1.AuthenticationService/Login"

Act = Callable[[Any, list[tuple[str, str]]], Awaitable[Any]]


class BraiinsOsWriter:
    """See the module. Source: the vendor's public definitions of the interface."""

    traits = WriterTraits("braiins-os", max_slots=SLOTS, max_groups=GROUPS)

    def __init__(self, credentials: CredentialStore) -> None:
        self._logins = Logins(credentials)

    async def identify(self, identity: Identity) -> Identity:
        bos = await _messages()
        details = await self._ask(
            identity, lambda stub, token: stub.get_miner_details(bos.GetMinerDetailsRequest(), metadata=token)
        )
        return identified(
            identity,
            mac=details.mac_address,
            serial=details.uid,
            model=details.miner_identity.miner_model or identity.model,
            firmware=details.bos_version.current,
            family=self.traits.family,
        )

    def unwritable(self, groups: Sequence[PoolGroup]) -> str | None:
        if any(not pool.url for group in groups for pool in group.pools):
            return "an empty slot between pools, which this firmware does not have"
        if any(not group.pools for group in groups):
            return "a group without a pool, which this firmware does not take"
        return first_reason(groups, max_slots=SLOTS, max_groups=GROUPS)

    async def read(self, identity: Identity) -> MinerConfig:
        bos = await _messages()
        answer = await self._ask(
            identity,
            lambda stub, token: stub.get_miner_configuration(bos.GetMinerConfigurationRequest(), metadata=token),
        )
        raw = answer.to_dict()
        settings = {name: value for name, value in raw.items() if name != "poolGroups"}
        return checked(identity.ip, [_group(group) for group in answer.pool_groups], raw, settings)

    async def write(
        self,
        identity: Identity,
        current: MinerConfig,  # noqa: ARG002 - of the port; here pools are all that a write carries
        groups: Sequence[PoolGroup],
    ) -> None:
        refuse_blank(identity.ip, groups)
        bos = await _messages()
        message = bos.SetPoolGroupsRequest(
            save_action=bos.SaveAction.SAVE_AND_APPLY, pool_groups=[_message(bos, group) for group in groups]
        )
        await self._ask(
            identity, lambda stub, token: stub.set_pool_groups(message, metadata=token), timeout_s=WRITE_TIMEOUT_S
        )

    async def status(self, identity: Identity) -> PoolStatus:
        bos = await _messages()
        answer = await self._ask(
            identity, lambda stub, token: stub.get_pool_groups(bos.GetPoolGroupsRequest(), metadata=token)
        )
        pools = [pool for group in answer.pool_groups for pool in group.pools]
        return PoolStatus(tuple(_seen(slot, pool) for slot, pool in enumerate(pools)))

    async def _ask(self, identity: Identity, act: Act, timeout_s: float = READ_TIMEOUT_S) -> Any:
        return await self._logins.first(identity, lambda login: _call(identity.ip, login, act, timeout_s))


async def _messages() -> Any:
    """Pyasic's generated definitions of the interface; none of them leaves this module."""
    await load_pyasic()
    from pyasic.web.braiins_os import (  # type: ignore[import-untyped]  # noqa: PLC0415 - heavy, see load_pyasic
        boser,
    )

    return boser


async def _call(ip: str, login: Credential, act: Act, timeout_s: float) -> Any:
    boser = await _messages()
    channel = Channel(ip, PORT)
    try:
        async with asyncio.timeout(timeout_s):
            token = await _token(ip, boser, channel, login)
            return await act(boser.BOSMinerGRPCStub(channel), [("authorization", token)])
    except TimeoutError as error:
        raise MinerTimeoutError(ip, f"no answer within {timeout_s:g} s") from error
    except GRPCError as error:
        if error.status is Status.UNAUTHENTICATED:
            raise MinerAuthError(ip, str(error.message)) from error
        if error.status is Status.INTERNAL:
            raise MinerMalformedError(ip, str(error.message)) from error
        raise MinerRefusedError(ip, f"{error.status.name}: {error.message}") from error
    except (OSError, StreamTerminatedError, ProtocolError) as error:
        raise MinerConnectionError(ip, f"port {PORT}: {error}") from error
    except (ValueError, AssertionError) as error:
        # What the library says to a message that ends in the middle.
        raise MinerMalformedError(ip, f"the answer cannot be read: {error}") from error
    finally:
        channel.close()


async def _token(ip: str, boser: Any, channel: Channel, login: Credential) -> str:
    """The session's token comes in the initial metadata."""
    request = boser.LoginRequest(username=login.username, password=login.password)
    async with channel.request(LOGIN, Cardinality.UNARY_UNARY, type(request), boser.LoginResponse) as stream:
        await stream.send_message(request, end=True)
        await stream.recv_initial_metadata()
        metadata = stream.initial_metadata
        token = None if metadata is None else metadata.get("authorization")
        await stream.recv_message()
        await stream.recv_trailing_metadata()
    if not isinstance(token, str):
        raise MinerAuthError(ip, "the login gave no token")
    return token


def _group(group: Any) -> PoolGroup:
    pools = tuple(Pool(p.url, p.user, p.password or "", enabled=p.enabled) for p in group.pools)
    # Of the two ways to share only the chosen one can be asked for.
    share, quota = getattr(group, "fixed_share_ratio", None), getattr(group, "quota", None)
    return PoolGroup(
        pools,
        group.name,
        quota=None if quota is None else quota.value,
        share=None if share is None else share.value,
        uid=group.uid,
    )


def _message(bos: Any, group: PoolGroup) -> Any:
    pools = [
        bos.PoolConfiguration(url=p.url, user=p.worker, password=p.password or "", enabled=p.enabled)
        for p in group.pools
    ]
    message = bos.PoolGroupConfiguration(uid=group.uid, name=group.name, pools=pools)
    if group.share is not None:
        message.fixed_share_ratio = bos.FixedShareRatio(value=group.share)
    elif group.quota is not None:
        message.quota = bos.Quota(value=group.quota)
    return message


def _seen(slot: int, pool: Any) -> PoolSeen:
    return PoolSeen(
        slot=slot,
        url=pool.url[:512],
        worker=pool.user[:256],
        active=pool.active,
        alive=pool.alive,
        accepted=pool.stats.accepted_shares,
        rejected=pool.stats.rejected_shares,
    )
