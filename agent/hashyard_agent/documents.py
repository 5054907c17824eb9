"""Read figures, texts and pools out of a miner's answers, by what its firmware profile says. Pure."""

import math
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from hashyard_profiles.model import Condition, FieldSpec, PathPart, Pools, PoolSlot, TextSpec
from hashyard_shared.events import PoolSeen

Documents = Mapping[str, Any]
MAX_POOLS: Final = 64
MAX_URL_CHARS: Final = 512
MAX_WORKER_CHARS: Final = 256
_SEVERAL: Final = re.compile(r"^\d+(?:\.\d+)?(?:-\d+(?:\.\d+)?)+$")
_PLACEHOLDER: Final = re.compile(r"\{([^{}]+)\}")


def walk(value: Any, parts: tuple[PathPart, ...], at: int = 0) -> Iterator[Any]:
    """Every value that a compiled path leads to."""
    while at < len(parts):
        part = parts[at]
        at += 1
        if part == "*":
            for child in _children(value):
                yield from walk(child, parts, at)
            return
        if isinstance(part, tuple):
            if isinstance(value, dict):
                for key in part:
                    if key in value:
                        yield from walk(value[key], parts, at)
            return
        if isinstance(value, dict) and part in value:
            value = value[part]
        elif isinstance(value, list) and part.isdecimal() and int(part) < len(value):
            value = value[int(part)]
        else:
            return
    yield value


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
    """The numbers in a value: a number, a number as text, several joined by dashes, or a list of these."""
    if isinstance(value, bool) or value is None:
        return []
    if isinstance(value, int | float):
        return [float(value)] if math.isfinite(value) else []
    if isinstance(value, list):
        return [number for element in value for number in numbers(element)]
    if not isinstance(value, str):
        return []
    text = value.strip()
    parts = text.split("-") if _SEVERAL.match(text) else [text]
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


def active_pool(pools: tuple[PoolSeen, ...]) -> PoolSeen | None:
    """The pool in use, where the device names one."""
    return next((pool for pool in pools if pool.active), None)


def _children(value: Any) -> list[Any]:
    if isinstance(value, list):
        return value
    return list(value.values()) if isinstance(value, dict) else []


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
