"""How the agent tries again: full jitter with a cap, never sooner than the cloud asked for."""

import asyncio
from typing import Final

from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type, wait_random_exponential
from tenacity.wait import wait_base

from hashyard_agent.errors import CloudError, CloudRefusedError, CloudUnreachableError
from hashyard_agent.link_state import LinkMonitor

RETRY_MULTIPLIER_S: Final = 0.5
MAX_RETRY_WAIT_S: Final = 60.0
REFUSED_WAIT_S: Final = 60.0


class CloudWait(wait_base):
    """Full jitter up to a cap; at least the cloud's `Retry-After`; a clear no is asked again only slowly."""

    def __init__(self, refused_wait_s: float = REFUSED_WAIT_S) -> None:
        self._jitter = wait_random_exponential(multiplier=RETRY_MULTIPLIER_S, max=MAX_RETRY_WAIT_S)
        self._refused_wait_s = refused_wait_s

    def __call__(self, retry_state: RetryCallState) -> float:
        wait_s = float(self._jitter(retry_state))
        error = retry_state.outcome.exception() if retry_state.outcome else None
        if isinstance(error, CloudUnreachableError) and error.retry_after_s is not None:
            return error.retry_after_s + wait_s
        if isinstance(error, CloudRefusedError):
            return self._refused_wait_s + wait_s
        return wait_s


def cloud_retrying(monitor: LinkMonitor, refused_wait_s: float = REFUSED_WAIT_S) -> AsyncRetrying:
    """Retry `CloudError`s for ever; there is nothing else to do, and nothing is lost by waiting."""

    def note(retry_state: RetryCallState) -> None:
        error = retry_state.outcome.exception() if retry_state.outcome else None
        wait_s = retry_state.next_action.sleep if retry_state.next_action else 0.0
        if isinstance(error, CloudError):
            monitor.failed(error, error.code, wait_s)

    return AsyncRetrying(
        retry=retry_if_exception_type(CloudError),
        wait=CloudWait(refused_wait_s),
        before_sleep=note,
        sleep=asyncio.sleep,
        reraise=True,
    )
