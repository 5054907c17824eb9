"""The fleet in a file, so that a restart finds its miners at once. Written aside and renamed: never half."""

import json
import logging
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from pydantic import TypeAdapter, ValidationError

from hashyard_agent.errors import StoreError
from hashyard_agent.fleet import MAX_MINERS, KnownMiner

FORMAT: Final = 1
MAX_FILE_BYTES: Final = 64 * 1024 * 1024
_MINERS: Final = TypeAdapter(list[KnownMiner])
_log = logging.getLogger(__name__)


class FleetFile:
    """`FleetStore` over one JSON file."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def load(self) -> list[KnownMiner]:
        """The miners as last saved. A damaged file is set aside: a scan finds everything again."""
        try:
            return _parse(self._path.read_bytes())
        except FileNotFoundError:
            return []
        except (ValidationError, ValueError, KeyError, TypeError) as error:
            aside = self._path.with_suffix(".damaged")
            _log.warning("known miners in %s cannot be read (%s); set aside as %s", self._path, error, aside)
            self._path.replace(aside)
            return []
        except OSError as error:
            raise StoreError(f"known miners {self._path}: {error.strerror}") from error

    def save(self, miners: Sequence[KnownMiner]) -> None:
        """Keep these miners durably. Errors: `StoreError`."""
        document = {"format": FORMAT, "miners": _MINERS.dump_python(list(miners), mode="json")}
        aside = self._path.with_suffix(".new")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with aside.open("w", encoding="utf-8") as file:
                json.dump(document, file, separators=(",", ":"))
                file.flush()
                os.fsync(file.fileno())
            aside.replace(self._path)
        except OSError as error:
            raise StoreError(f"known miners {self._path}: {error.strerror}") from error


def _parse(data: bytes) -> list[KnownMiner]:
    if len(data) > MAX_FILE_BYTES:
        raise ValueError(f"over {MAX_FILE_BYTES} bytes")
    document: dict[str, Any] = json.loads(data)
    if document["format"] != FORMAT:
        raise ValueError(f"format {document['format']} is not known")
    return _MINERS.validate_python(document["miners"])[:MAX_MINERS]
