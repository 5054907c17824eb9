"""Pools inside configuration files: cgminer's JSON and the TOML of older Braiins OS. Pure.

Only the part about pools is replaced. What was not understood cannot be lost: the result is read again, and
everything but the pools must be what it was.
"""

import json
import re
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from hashyard_agent.ports import Pool, PoolGroup

_GROUP_TABLE: Final = re.compile(r"^\s*\[\[\s*group(\s*\.\s*pool)?\s*\]\]\s*(#.*)?$")
_ANY_TABLE: Final = re.compile(r"^\s*\[")


@dataclass(frozen=True, slots=True)
class PoolFile:
    """A kind of file. `parse` raises `ValueError`; `rest` is everything but the pools."""

    parse: Callable[[str], Mapping[str, Any]]
    groups: Callable[[Mapping[str, Any]], tuple[PoolGroup, ...]]
    rest: Callable[[Mapping[str, Any]], dict[str, Any]]
    render: Callable[[str, Sequence[PoolGroup]], str]
    max_groups: int


def replaced(kind: PoolFile, text: str, groups: Sequence[PoolGroup]) -> str:
    """The file with other pools. Raises `ValueError` when anything else would change with them."""
    fresh = kind.render(text, groups)
    before, after = kind.parse(text), kind.parse(fresh)
    if kind.rest(before) != kind.rest(after):
        raise ValueError("the file cannot be changed without changing more than its pools")
    return fresh


def _json(text: str) -> Mapping[str, Any]:
    document = json.loads(text)
    if not isinstance(document, dict):
        raise ValueError("the file is not a JSON object")  # noqa: TRY004 - as all that is wrong with a file
    return document


def _json_groups(document: Mapping[str, Any]) -> tuple[PoolGroup, ...]:
    pools = document.get("pools") or []
    return (PoolGroup(tuple(Pool(str(p["url"]), str(p["user"]), str(p.get("pass", ""))) for p in pools)),)


def _json_render(text: str, groups: Sequence[PoolGroup]) -> str:
    document = dict(_json(text))
    old = {(str(p.get("url")), str(p.get("user"))): p for p in document.get("pools") or []}
    document["pools"] = [
        {**old.get((p.url, p.worker), {}), "url": p.url, "user": p.worker, "pass": p.password or ""}
        for p in groups[0].pools
    ]
    return json.dumps(document, indent=4) + "\n"


def _without(name: str) -> Callable[[Mapping[str, Any]], dict[str, Any]]:
    return lambda document: {key: value for key, value in document.items() if key != name}


def _toml_groups(document: Mapping[str, Any]) -> tuple[PoolGroup, ...]:
    return tuple(_toml_group(group) for group in document.get("group") or [])


def _toml_group(group: Mapping[str, Any]) -> PoolGroup:
    pools = tuple(
        Pool(str(p["url"]), str(p["user"]), str(p.get("password", "")), enabled=bool(p.get("enabled", True)))
        for p in group.get("pool") or []
    )
    share = group.get("fixed_share_ratio")
    quota = group.get("quota")
    return PoolGroup(
        pools,
        str(group.get("name", "")),
        quota=None if quota is None else int(quota),
        share=None if share is None else float(share),
    )


def _toml_render(text: str, groups: Sequence[PoolGroup]) -> str:
    kept: list[str] = []
    inside = False
    for line in text.splitlines():
        if _ANY_TABLE.match(line):
            inside = _GROUP_TABLE.match(line) is not None
        if not inside:
            kept.append(line)
    while kept and not kept[-1].strip():
        kept.pop()
    return "\n".join([*kept, *(line for group in groups for line in _toml_lines(group))]) + "\n"


def _toml_lines(group: PoolGroup) -> list[str]:
    lines = ["", "[[group]]", f"name = {_quoted(group.name)}"]
    if group.quota is not None:
        lines.append(f"quota = {group.quota}")
    if group.share is not None:
        lines.append(f"fixed_share_ratio = {group.share!r}")
    for pool in group.pools:
        lines += ["", "[[group.pool]]", f"enabled = {str(pool.enabled).lower()}"]
        lines += [f"url = {_quoted(pool.url)}", f"user = {_quoted(pool.worker)}"]
        if pool.password:
            lines.append(f"password = {_quoted(pool.password)}")
    return lines


def _quoted(text: str) -> str:
    # JSON's escapes are TOML's, but for DEL, which is not printable and refused before.
    return json.dumps(text, ensure_ascii=False)


CGMINER_CONF: Final = PoolFile(_json, _json_groups, _without("pools"), _json_render, max_groups=1)
BOSMINER_TOML: Final = PoolFile(tomllib.loads, _toml_groups, _without("group"), _toml_render, max_groups=8)
