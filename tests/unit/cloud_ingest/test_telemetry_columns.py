"""The columnar check against the wire model: what it lets pass, the model lets pass too, with equal values."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from hashyard_cloud.errors import MalformedError
from hashyard_cloud.services import telemetry_columns
from hashyard_cloud.services.parsed_cycles import ParsedCycles
from hashyard_cloud.services.telemetry_columns import MAX_VALUE
from hashyard_shared import codec, cycle_codec
from hashyard_shared.errors import SharedError
from hashyard_shared.telemetry import COLUMN_SCALES, Cycle

LISTS = ("state", "offset_ms", *COLUMN_SCALES, "pool")
JUNK: st.SearchStrategy[Any] = st.sampled_from(
    [None, -1, 0, 6, 1.5, "7", [], [None], [1, 2], {}, True, 1 << 70, float(1 << 40)]
)


@st.composite
def documents(draw: st.DrawFn, most: int = 5) -> dict[str, Any]:
    count = draw(st.integers(0, most))

    def column(low: int, high: int, *, nulls: bool = True) -> list[int | None]:
        value: st.SearchStrategy[int | None] = st.integers(low, high)
        return draw(st.lists(st.none() | value if nulls else value, min_size=count, max_size=count))

    pools = draw(st.lists(st.tuples(st.text(max_size=5), st.text(max_size=5)), max_size=3))
    return {
        "roster_id": draw(st.text(max_size=16)),
        "cycle_at_us": draw(st.integers(0, 1 << 52)),
        "interval_s": draw(st.floats(0.01, 86_400)),
        "boot_id": "boot",
        "mono_s": 1.0,
        "state": column(1, 5, nulls=False),
        **{name: column(0, 900) for name in ("offset_ms", *COLUMN_SCALES)},
        "pool": column(0, len(pools) - 1) if pools else [None] * count,
        "pools": pools,
    }


def packed(document: Any) -> bytes:
    return codec.encode_bytes(json.dumps(document).encode(), 1)


@settings(deadline=None)
@given(st.lists(documents(), min_size=1, max_size=4))
def test_good_cycles_are_read_as_the_model_reads_them(found: list[dict[str, Any]]) -> None:
    for document, cycle in zip(found, telemetry_columns.parse([packed(one) for one in found]), strict=True):
        model = Cycle.model_validate(document)
        assert (cycle.roster_id, cycle.cycle_at_us, cycle.size) == (
            model.roster_id,
            model.cycle_at_us,
            len(model.state),
        )
        for name in ("offset_ms", *COLUMN_SCALES):
            assert cycle.columns[name].to_pylist() == getattr(model, name)
        assert cycle.columns["state"].to_pylist() == [int(state) for state in model.state]
        assert cycle.pool.to_pylist() == model.pool
        assert cycle.pools == model.pools


@settings(deadline=None)
@given(st.lists(st.tuples(documents(), st.booleans()), min_size=1, max_size=4))
def test_packed_cycles_and_those_of_older_agents_are_read_alike(found: list[tuple[dict[str, Any], bool]]) -> None:
    models = [Cycle.model_validate(document) for document, _ in found]
    bodies = [
        cycle_codec.pack(model, 1) if tight else packed(document)
        for model, (document, tight) in zip(models, found, strict=True)
    ]
    texts = [packed(document) for document, _ in found]
    for one, other in zip(telemetry_columns.parse(bodies), telemetry_columns.parse(texts), strict=True):
        assert (one.roster_id, one.cycle_at_us, one.interval_ms, one.size, one.pools) == (
            other.roster_id,
            other.cycle_at_us,
            other.interval_ms,
            other.size,
            other.pools,
        )
        assert {name: column.to_pylist() for name, column in one.columns.items()} == {
            name: column.to_pylist() for name, column in other.columns.items()
        }
        assert one.pool.to_pylist() == other.pool.to_pylist()


@pytest.mark.parametrize("name", LISTS)
def test_a_packed_value_out_of_range_is_refused(name: str) -> None:
    values = {column: [1, None] for column in LISTS} | {"state": [1, 2], "pool": [0, None]}
    cycle = Cycle(
        roster_id="r",
        cycle_at_us=1,
        interval_s=60,
        boot_id="b",
        mono_s=1,
        pools=[("stratum+tcp://pool.example:3333", "farm")],
        **values,
    )
    assert telemetry_columns.parse([cycle_codec.pack(cycle)])[0].size == len(cycle.state)
    too_large = cycle.model_copy(update={name: [MAX_VALUE.get(name, 5) + 1, 1]})
    with pytest.raises(MalformedError, match=name):
        telemetry_columns.parse([cycle_codec.pack(too_large)])


@settings(max_examples=300, deadline=None)
@given(documents(), st.sampled_from(["missing", "replaced", "shorter", "one value"]), st.data())
def test_what_the_model_refuses_is_refused(document: dict[str, Any], how: str, data: st.DataObject) -> None:
    name = data.draw(st.sampled_from([*LISTS, "pools", "roster_id", "cycle_at_us", "interval_s"]))
    if how == "missing":
        del document[name]
    elif how == "replaced" or not isinstance(document[name], list) or not document[name]:
        document[name] = data.draw(JUNK)
    elif how == "shorter":
        document[name] = document[name][:-1]
    else:
        document[name][0] = data.draw(JUNK)
    try:
        telemetry_columns.parse([packed(document)])
    except (MalformedError, SharedError):
        return
    # It passed here, so it must be a cycle to the model too.
    Cycle.model_validate(document)


@pytest.mark.parametrize("text", [b"", b" ", b"[]", b"{}", b"{} {}", b"{}\n{}", b"nonsense", b'{"state": [1'])
def test_what_is_no_single_object_is_refused(text: bytes) -> None:
    with pytest.raises((MalformedError, SharedError)):
        telemetry_columns.parse([codec.encode_bytes(text)])
    with pytest.raises(ValidationError):
        Cycle.model_validate_json(text)


@settings(deadline=None)
@given(documents(), documents())
def test_two_cycles_in_one_body_are_refused(first: dict[str, Any], second: dict[str, Any]) -> None:
    text = json.dumps(first).encode() + b"\n" + json.dumps(second).encode()
    with pytest.raises(MalformedError):
        telemetry_columns.parse([codec.encode_bytes(text, 1)])


def test_parsed_cycles_are_bounded_by_samples() -> None:
    one = {
        "roster_id": "r",
        "cycle_at_us": 1,
        "interval_s": 60.0,
        **{name: [1, 1] for name in LISTS if name != "pool"},
        "pool": [None, None],
        "pools": [],
    }
    cycle = telemetry_columns.parse([packed(one)])[0]
    kept = ParsedCycles(max_samples=5)
    for seq in range(4):
        kept.put(("a", 1, seq), cycle)
    assert [kept.get(("a", 1, seq)) is not None for seq in range(4)] == [False, False, True, True]
    kept.forget([("a", 1, 2)])
    kept.put(("a", 1, 4), cycle)
    assert kept.get(("a", 1, 3)) is cycle
