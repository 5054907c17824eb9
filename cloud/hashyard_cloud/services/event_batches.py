"""Reading batches of events so that a kind that a newer agent sends does not block the ones known here."""

import json
from dataclasses import dataclass
from typing import Any, Final

from pydantic import TypeAdapter

from hashyard_cloud.errors import MalformedError
from hashyard_shared.codec import decode_bytes
from hashyard_shared.events import MAX_EVENTS_PER_BATCH, Event

_EVENT: Final[TypeAdapter[Event]] = TypeAdapter(Event)
_KNOWN: Final[frozenset[str]] = frozenset(_EVENT.json_schema()["discriminator"]["mapping"])


@dataclass(frozen=True, slots=True)
class EventsRead:
    """Known events with their place in the batch, and the kinds that are not known here."""

    events: list[tuple[int, Event]]
    unknown_kinds: list[str]


def parse(body: bytes) -> EventsRead:
    """Read a packed body; raises `CodecError`, `MalformedError` or pydantic's `ValidationError`."""
    items = _items(decode_bytes(body))
    read = EventsRead([], [])
    for place, item in enumerate(items):
        kind = item.get("kind") if isinstance(item, dict) else None
        if isinstance(kind, str) and kind not in _KNOWN:
            read.unknown_kinds.append(kind[:64])
        else:
            read.events.append((place, _EVENT.validate_python(item)))
    return read


def _items(text: bytes) -> list[Any]:
    try:
        document = json.loads(text)
    except ValueError as error:
        raise MalformedError("the events are not JSON") from error
    items = document.get("events") if isinstance(document, dict) else None
    if not isinstance(items, list) or len(items) > MAX_EVENTS_PER_BATCH:
        raise MalformedError(f"events must be a list of at most {MAX_EVENTS_PER_BATCH}", field="events")
    return items
