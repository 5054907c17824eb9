"""Read figures, texts and pools out of a miner's answers, by what its firmware profile says. Pure."""

import itertools
import math
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from hashyard_profiles.model import (
    BoardField,
    BoardFields,
    Condition,
    FieldSpec,
    PathPart,
    Pools,
    PoolSlot,
    TextSpec,
)
from hashyard_shared.events import Board, PoolSeen

Documents = Mapping[str, Any]
MAX_POOLS: Final = 64
MAX_BOARDS: Final = 64
MAX_FANS: Final = 16
MAX_URL_CHARS: Final = 512
MAX_WORKER_CHARS: Final = 256
_SEVERAL: Final = re.compile(r"^\d+(?:\.\d+)?(?:-\d+(?:\.\d+)?)+$")
_PIECE: Final = re.compile(r"([^\[\]]+)\[([^\[\]]*)\]")
_PLACEHOLDER: Final = re.compile(r"\{([^{}]+)\}")


def walk(value: Any, parts: tuple[PathPart, ...], at: int = 0) -> Iterator[Any]:
    """Every value that a compiled path leads to."""
    while at < len(parts):
        part = parts[at]
        at += 1
        if part == "*" or isinstance(part, tuple):
            for child in _children(value, part):
                yield from walk(child, parts, at)
            return
        value = _child(value, part)
        if value is None:
            return
    yield value


def _children(value: Any, part: PathPart) -> list[Any]:
    """What `*` or a range of keys leads to."""
    if isinstance(value, list):
        return value if part == "*" else []
    if not isinstance(value, dict):
        return []
    return list(value.values()) if part == "*" else [value[key] for key in part if key in value]


def _child(value: Any, part: str) -> Any:
    """What one key, index or look inside a text leads to, or None."""
    if isinstance(value, dict):
        return value.get(part)
    if isinstance(value, list):
        return value[int(part)] if part.isdecimal() and int(part) < len(value) else None
    return _inside(value, part) if isinstance(value, str) else None


def read_number(spec: FieldSpec | None, documents: Documents) -> float | None:
    """The field in the agent's unit, or None where the device does not tell it."""
    if spec is None:
        return None
    for path in spec.compiled:
        found = [
            number
            for value in walk(documents, path)
            for number in numbers(value)
            if number or not spec.zero_is_missing
        ]
        if found:
            return _reduced(found, spec.reduce) * spec.unit.factor
    return None


def read_whole(spec: FieldSpec | None, documents: Documents) -> int | None:
    """As `read_number`, to the nearest whole."""
    number = read_number(spec, documents)
    return None if number is None else round(number)


def read_text(spec: TextSpec | None, documents: Documents) -> str | None:
    """The first non-blank text, or None."""
    if spec is None:
        return None
    for path in spec.compiled:
        for value in walk(documents, path):
            if isinstance(value, str | int | float) and str(value).strip():
                return str(value).strip()
    return None


def numbers(value: Any) -> list[float]:
    """The numbers in a value: a number, numbers as text, divided by dashes or spaces, or a list of these."""
    if isinstance(value, bool) or value is None:
        return []
    if isinstance(value, int | float):
        return [float(value)] if math.isfinite(value) else []
    if isinstance(value, list):
        return [number for element in value for number in numbers(element)]
    if not isinstance(value, str):
        return []
    text = value.strip()
    parts = text.split("-") if _SEVERAL.match(text) else text.split()
    try:
        return [number for number in map(float, parts) if math.isfinite(number)]
    except ValueError:
        return []


def read_pools(pools: Pools, documents: Documents) -> tuple[PoolSeen, ...]:
    """Every configured pool in slot order; a blank slot is left out. URLs are verbatim."""
    if pools.rows is not None:
        seen = _rows(pools, documents)
    else:
        seen = [
            pool for index, slot in enumerate(pools.slots) if (pool := _slot(index, slot, documents)) is not None
        ]
    return tuple(seen[:MAX_POOLS])


def read_boards(spec: BoardFields, documents: Documents) -> tuple[Board, ...]:
    """Hashboards, as many as the longest of the figures has values; what is not told of a board is None."""
    rates_ths = _each_board(spec.hashrate_ths, documents)
    temps_board_c = _each_board(spec.temp_board_c, documents)
    temps_chip_c = _each_board(spec.temp_chip_c, documents)
    chips = _each_board(spec.chips, documents)
    figures = itertools.zip_longest(rates_ths, temps_board_c, temps_chip_c, chips)
    return tuple(
        Board(
            index=index,
            hashrate_ths=rate_ths,
            temp_board_c=temp_board_c,
            temp_chip_c=temp_chip_c,
            chips=None if count is None else round(count),
        )
        for index, (rate_ths, temp_board_c, temp_chip_c, count) in enumerate(figures)
        if index < MAX_BOARDS
    )


def merged_boards(own: tuple[Board, ...], told: tuple[Board, ...]) -> tuple[Board, ...]:
    """A driver's boards with our own figures over them: drivers take one temperature for another at times."""
    if len(own) != len(told):
        return told or own
    return tuple(
        base.model_copy(update={name: value for name, value in over.model_dump().items() if value is not None})
        for base, over in zip(told, own, strict=True)
    )


def _each_board(spec: BoardField | None, documents: Documents) -> list[float | None]:
    if spec is None:
        return []
    for path in spec.compiled:
        values = list(walk(documents, path))
        if spec.words:
            values = [word for value in values for word in str(value).split()]
        found = [max(numbers(value), default=None) for value in values]
        if found:
            return [None if number is None else number * spec.unit.factor for number in found]
    return []


def read_list(spec: FieldSpec | None, documents: Documents) -> tuple[int, ...]:
    """Every value of a field, to the nearest whole: each fan, not the fastest."""
    if spec is None:
        return ()
    found = (number for path in spec.compiled for value in walk(documents, path) for number in numbers(value))
    return tuple(round(number) for number in found)[:MAX_FANS]


def active_pool(pools: tuple[PoolSeen, ...]) -> PoolSeen | None:
    """The pool in use, where the device names one."""
    return next((pool for pool in pools if pool.active), None)


def _inside(text: str, part: str) -> Any:
    """What a path part finds inside a text: its `Name[value]` pieces, or one of its words."""
    if part == "[]":
        return {name.strip(): value for name, value in _PIECE.findall(text)}
    words = text.split()
    at = int(part[1:]) if part.startswith("#") and part[1:].isdecimal() else len(words)
    return words[at] if at < len(words) else None


def _reduced(found: list[float], how: str) -> float:
    if how == "max":
        return max(found)
    if how == "min":
        return min(found)
    if how == "sum":
        return sum(found)
    if how == "mean":
        return sum(found) / len(found)
    return found[0]


def _rows(pools: Pools, documents: Documents) -> list[PoolSeen]:
    spec = pools.rows
    if spec is None:
        return []
    seen = []
    for index, row in enumerate(walk(documents, spec.compiled)):
        if not isinstance(row, dict) or not str(row.get(spec.url) or "").strip():
            continue
        seen.append(
            PoolSeen(
                slot=min(index, MAX_POOLS),
                url=str(row[spec.url])[:MAX_URL_CHARS],
                worker=str(row.get(spec.worker) or "")[:MAX_WORKER_CHARS],
                active=_holds(spec.active, row),
                alive=_holds(spec.alive, row),
                accepted=_count(row, spec.accepted),
                rejected=_count(row, spec.rejected),
            )
        )
    return seen


def _slot(index: int, slot: PoolSlot, documents: Documents) -> PoolSeen | None:
    document = documents.get(slot.document)
    if not isinstance(document, dict):
        return None
    names = _PLACEHOLDER.findall(slot.url)
    if not str(document.get(names[0]) or "").strip() if names else False:
        return None
    url = _PLACEHOLDER.sub(lambda found: str(document.get(found[1], "")), slot.url)
    return PoolSeen(
        slot=index,
        url=url[:MAX_URL_CHARS],
        worker=str(document.get(slot.worker) or "")[:MAX_WORKER_CHARS],
        active=_holds(slot.active, document),
        accepted=_count(document, slot.accepted),
        rejected=_count(document, slot.rejected),
    )


def _holds(condition: Condition | None, row: dict[str, Any]) -> bool | None:
    if condition is None:
        return None
    found = next(walk(row, condition.compiled), None)
    return None if found is None else found in condition.equals


def _count(row: dict[str, Any], key: str | None) -> int | None:
    found = numbers(row.get(key)) if key is not None else []
    return round(found[0]) if found else None
