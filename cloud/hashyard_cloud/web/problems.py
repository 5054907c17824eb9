"""problem+json, as programs are told of errors."""

import logging
from typing import Final

from aiohttp import web

from hashyard_cloud.errors import CloudError, RateLimitedError, UnavailableError
from hashyard_shared.protocol import Problem

LOG: Final = logging.getLogger(__name__)
MEDIA_TYPE: Final = "application/problem+json"


def rendered(error: CloudError) -> web.Response:
    """The response for an error; one of ours (5xx) is logged with its cause and told without."""
    headers = {}
    if isinstance(error, RateLimitedError | UnavailableError):
        headers["Retry-After"] = str(max(1, round(error.retry_after_s)))
    if error.status >= 500:
        LOG.error("%s", error, exc_info=error)
    problem = Problem(
        type=error.code,
        title=type(error).__doc__ or "",
        status=error.status,
        detail=str(error),
        field=error.field,
    )
    return web.Response(
        text=problem.model_dump_json(), status=error.status, content_type=MEDIA_TYPE, headers=headers
    )
