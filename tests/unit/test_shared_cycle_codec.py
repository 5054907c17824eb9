"""Packed cycles: what goes in comes out, and a damaged body is an error, never a wrong number."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hashyard_shared import codec, cycle_codec
from hashyard_shared.telemetry import COLUMN_SCALES, Cycle

NAMES = ("offset_ms", *COLUMN_SCALES)


@st.composite
def cycles(draw: st.DrawFn) -> Cycle:
    size = draw(st.integers(0, 30))

    def column(low: int, high: int) -> list[int | None]:
        value = st.integers(low, high) | st.sampled_from([low, high])
        return draw(st.lists(value | st.none(), min_size=size, max_size=size))

    highs = [
        draw(st.sampled_from([0, 1, 254, 255, 256, 65_534, 65_535, 1 << 24, 1 << 40, 1 << 62])) for _ in NAMES
    ]
    return Cycle(
        roster_id=draw(st.text(max_size=16)),
        cycle_at_us=draw(st.integers(-(1 << 60), 1 << 60)),
        interval_s=60,
        boot_id="6f1c3f0e-8f43-4b5c-9d0e-1f2a3b4c5d6e",
        mono_s=17.25,
        state=draw(st.lists(st.integers(1, 5), min_size=size, max_size=size)),
        **{name: column(-273, high) for name, high in zip(NAMES, highs, strict=True)},
        pool=column(0, 2),
        pools=[("stratum+tcp://a.example:1", "ä.1"), ("", ""), ("ssl://b.example:2", "w")],
    )


@settings(deadline=None)
@given(cycles(), st.sampled_from([1, 15]))
def test_a_cycle_comes_out_as_it_went_in(cycle: Cycle, level: int) -> None:
    body = cycle_codec.pack(cycle, level)
    assert cycle_codec.unpack(body) == cycle
    assert cycle_codec.roster_id(body) == cycle.roster_id


@settings(deadline=None)
@given(cycles())
def test_what_older_agents_kept_is_read(cycle: Cycle) -> None:
    body = codec.encode(cycle, 1)
    assert cycle_codec.unpack(body) == cycle
    assert cycle_codec.roster_id(body) == cycle.roster_id


@settings(max_examples=300, deadline=None)
@given(cycles(), st.data())
def test_a_damaged_body_is_told(cycle: Cycle, data: st.DataObject) -> None:
    plain = cycle_codec.plain(cycle)
    kept = data.draw(st.integers(0, len(plain) - 1))
    for wrong in (plain[:kept], plain + b"\x00"):
        with pytest.raises(codec.CodecError):
            cycle_codec.unpack(cycle_codec.seal(wrong, 1))


def test_a_head_that_promises_too_much_is_refused_before_anything_is_made() -> None:
    head = {
        "size": 20_000,
        "columns": {f"c{at}": [0, 8] for at in range(64)},
        "roster_id": "r",
        "cycle_at_us": 1,
        "interval_s": 60,
        "boot_id": "b",
        "mono_s": 1,
        "pools": [],
    }
    for change in ({}, {"size": 20_001}, {"columns": {"state": [0, 9]}}, {"columns": {"state": [1 << 63, 1]}}):
        text = json.dumps(head | change).encode()
        with pytest.raises(codec.CodecError):
            cycle_codec.split(cycle_codec.seal(len(text).to_bytes(4, "little") + text, 1))


def test_a_column_of_a_later_version_is_skipped() -> None:
    cycle = Cycle.model_validate(
        {
            "roster_id": "r",
            "cycle_at_us": 1,
            "interval_s": 60,
            "boot_id": "b",
            "mono_s": 1,
            "pools": [],
            "state": [1, 2],
            **{name: [3, None] for name in NAMES},
            "pool": [None, None],
        }
    )
    plain = cycle_codec.plain(cycle)
    length = int.from_bytes(plain[:4], "little")
    head = json.loads(plain[4 : 4 + length])
    head["columns"] = {"voltage_mv": [0, 2], **head["columns"]}
    text = json.dumps(head).encode()
    later = len(text).to_bytes(4, "little") + text + b"\x01\x02\x00\x00" + plain[4 + length :]
    assert cycle_codec.unpack(cycle_codec.seal(later, 1)) == cycle
