"""The trust document as a JSON file that belongs to root and is read-only to the agent."""

import os
from pathlib import Path
from typing import Final

from pydantic import ValidationError

from hashyard_agent.adapters.files import write_durably
from hashyard_agent.adapters.store import explained
from hashyard_agent.errors import SettingsError
from hashyard_agent.trust import Trust

MAX_TRUST_BYTES: Final = 4 * 1024 * 1024
_MODE: Final = 0o640
"""The agent's group reads it (it holds the holding pools' passwords), and only root changes it."""


class TrustFile:
    """The document on disk. Only enrolment and the technician's commands write it, as root.

    `agent_folder` tells by its group who must be able to read it.
    """

    def __init__(self, path: Path, agent_folder: Path) -> None:
        self._path = path
        self._agent_folder = agent_folder

    def read(self) -> Trust | None:
        """The document, or None when there is none. Errors: `SettingsError` that names the file."""
        try:
            with self._path.open("rb") as file:
                data = file.read(MAX_TRUST_BYTES + 1)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise SettingsError(
                f"enforcement.trust_file: {self._path} cannot be read: {error.strerror}"
            ) from error
        try:
            return Trust.model_validate_json(data)
        except ValidationError as error:
            problem = error.errors(include_url=False)[0]
            field = ".".join(str(part) for part in problem["loc"]) or "the document"
            raise SettingsError(
                f"enforcement.trust_file: {self._path} is not valid at {field}: {problem['msg']}"
            ) from error

    def write(self, trust: Trust) -> None:
        """Replace the document. Errors: `StoreError` that says what to do."""
        write_durably(self._path, trust.model_dump_json(indent=2).encode(), _MODE, keep_owner=True)
        if os.geteuid() == 0:
            with explained(self._path):
                os.chown(self._path, 0, self._agent_folder.stat().st_gid)
