"""The hash-chained journal of enforcement: one line per thing done or seen.

A line is JSON text; its hash covers its exact bytes, which contain the hash of the line before. Whoever holds
a later hash can tell that no earlier line was changed, added or taken out.
"""

import hashlib
import json
from collections.abc import Iterable
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field

GENESIS: Final = "0" * 64
MAX_LINE_BYTES: Final = 256 * 1024


class JournalLine(BaseModel):
    """A line and its hash. `text` is what was hashed."""

    model_config = ConfigDict(frozen=True)

    index: int = Field(ge=0)
    text: str = Field(max_length=MAX_LINE_BYTES)
    hash: str = Field(max_length=64)


def line_hash(text: str) -> str:
    """SHA-256 of a line's exact bytes."""
    return hashlib.sha256(b"hashyard:journal:" + text.encode()).hexdigest()


def next_line(index: int, previous_hash: str, at_us: int, kind: str, data: dict[str, Any]) -> JournalLine:
    """The line after the one with `previous_hash`; `data` must be JSON."""
    text = json.dumps(
        {"index": index, "prev": previous_hash, "at_us": at_us, "kind": kind, "data": data},
        separators=(",", ":"),
        sort_keys=True,
        ensure_ascii=False,
    )
    return JournalLine(index=index, text=text, hash=line_hash(text))


def first_break(lines: Iterable[JournalLine], previous_hash: str = GENESIS, index: int = 0) -> int | None:
    """The index of the first line that does not follow from the one before, or None for a whole chain."""
    for line in lines:
        try:
            content = json.loads(line.text)
        except ValueError:
            return index
        whole = line.index == index and line.hash == line_hash(line.text)
        if not whole or content.get("prev") != previous_hash or content.get("index") != index:
            return index
        previous_hash = line.hash
        index += 1
    return None
