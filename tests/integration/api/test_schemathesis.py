"""The OpenAPI document against the real service over HTTP: generated calls, good and bad, find nothing."""

import asyncio
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from hashyard_cloud.services.ports.users import Role
from hashyard_support.pages import Pages

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(300)]

EXAMPLES = os.environ.get("HASHYARD_SCHEMATHESIS_EXAMPLES", "3")
PHASES = os.environ.get("HASHYARD_SCHEMATHESIS_PHASES", "fuzzing")
"""`coverage,fuzzing` for the long run: some 5,000 calls in three minutes."""
CHECKS = (
    *("not_a_server_error", "status_code_conformance", "content_type_conformance", "response_schema_conformance"),
    *("response_headers_conformance", "negative_data_rejection", "ignored_auth", "unsupported_method"),
)
RUN_LIMIT_S = 240


def run(url: str, secret: str, where: Path) -> subprocess.CompletedProcess[str]:
    """One run of the tool, with the same examples every time."""
    return subprocess.run(
        [
            *(str(Path(sys.executable).parent / "schemathesis"), "run", f"{url}/api/v1/openapi.json"),
            *("--url", url, "--header", f"Authorization: Bearer {secret}", "--checks", ",".join(CHECKS)),
            *("--phases", PHASES, "--max-examples", EXAMPLES, "--seed", "7", "--workers", "1"),
            *("--no-color", "--generation-database", "none", "--request-timeout", "20"),
            # The tokens that the run works with must outlive it.
            *("--exclude-path", "/api/v1/tokens/{token_id}", "--suppress-health-check", "all"),
        ],
        cwd=where,
        capture_output=True,
        text=True,
        timeout=RUN_LIMIT_S,
        check=False,
    )


async def test_generated_calls_find_nothing(furnished: Pages, new_token: Any, tmp_path: Path) -> None:
    secret = await new_token(furnished, "dana@caprock.example", Role.OWNER)
    done = await asyncio.to_thread(run, str(furnished.url).rstrip("/"), secret, tmp_path)
    assert done.returncode == 0, done.stdout[-20_000:] + done.stderr[-2_000:]
    print(done.stdout[-1_500:])
