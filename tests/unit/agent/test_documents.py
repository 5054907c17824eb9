import math

import pytest

from hashyard_agent import documents
from hashyard_profiles.model import Condition, FieldSpec, PoolRows, Pools, PoolSlot, compile_path


def spec(*paths: str, unit: str = "GH/s", **more: object) -> FieldSpec:
    return FieldSpec.model_validate({"paths": paths, "unit": unit, "source": "test", **more})


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (5, [5.0]),
        ("94000.12", [94000.12]),
        ("85-86-90-91", [85.0, 86.0, 90.0, 91.0]),
        ("-20", [-20.0]),
        ([1, "2"], [1.0, 2.0]),
        (None, []),
        (True, []),
        ("N/A", []),
        (math.nan, []),
        ("inf", []),
        ({}, []),
    ],
)
def test_numbers_in_what_miners_say(value: object, expected: list[float]) -> None:
    assert documents.numbers(value) == expected


def test_a_path_walks_lists_keys_and_ranges() -> None:
    document = {"stats": {"STATS": [{"ID": "x"}, {"fan1": 10, "fan2": 30, "fan9": 99}]}}
    assert list(documents.walk(document, compile_path("stats/STATS/*/fan{1-8}"))) == [10, 30]
    assert list(documents.walk(document, compile_path("stats/STATS/1/fan9"))) == [99]
    assert list(documents.walk(document, compile_path("stats/STATS/7/fan9"))) == []
    assert list(documents.walk(document, compile_path("stats/nothing/here"))) == []


def test_the_first_path_that_yields_is_taken_in_the_agents_unit() -> None:
    document = {"summary": {"GHS av": "95000"}}
    assert documents.read_number(spec("summary/GHS 5s", "summary/GHS av"), document) == pytest.approx(95.0)
    assert documents.read_number(spec("summary/nothing"), document) is None
    assert documents.read_number(None, document) is None


def test_a_zero_that_stands_for_nothing_is_not_seen_while_a_real_zero_is() -> None:
    document = {"s": {"t": "0-0-61-60", "rate": 0}}
    assert documents.read_number(spec("s/t", unit="C", reduce="max", zero_is_missing=True), document) == 61
    assert documents.read_number(spec("s/t", unit="C", reduce="min", zero_is_missing=True), document) == 60
    assert documents.read_number(spec("s/rate"), document) == 0.0


def test_pools_keep_their_urls_verbatim_and_blank_slots_are_left_out() -> None:
    rows = [
        {"URL": "ssl://odd:99/x?y", "User": "a.1", "Stratum Active": True, "Status": "Alive", "Accepted": 7},
        {"URL": "", "User": ""},
        {"URL": "no-scheme.example:3333", "User": None, "Stratum Active": False, "Status": "Dead"},
    ]
    pools = Pools(
        rows=PoolRows(
            rows="p/POOLS/*",
            active=Condition(key="Stratum Active", equals=(True,)),
            alive=Condition(key="Status", equals=("Alive",)),
            source="test",
        )
    )
    seen = documents.read_pools(pools, {"p": {"POOLS": rows}})
    assert [(pool.slot, pool.url, pool.worker, pool.active, pool.alive) for pool in seen] == [
        (0, "ssl://odd:99/x?y", "a.1", True, True),
        (2, "no-scheme.example:3333", "", False, False),
    ]
    assert documents.active_pool(seen) == seen[0]
    assert documents.active_pool(()) is None


def test_pools_in_fixed_fields() -> None:
    slots = (
        PoolSlot(
            document="info",
            url="stratum+tcp://{stratumURL}:{stratumPort}",
            worker="stratumUser",
            active=Condition(key="fallback", equals=(0,)),
        ),
        PoolSlot(document="info", url="stratum+tcp://{secondURL}:{secondPort}", worker="secondUser"),
    )
    info = {"stratumURL": "pool.example", "stratumPort": 3333, "stratumUser": "me", "fallback": 0, "secondURL": ""}
    (seen,) = documents.read_pools(Pools(slots=slots), {"info": info})
    assert (seen.url, seen.worker, seen.active) == ("stratum+tcp://pool.example:3333", "me", True)
    assert documents.read_pools(Pools(slots=slots), {}) == ()
