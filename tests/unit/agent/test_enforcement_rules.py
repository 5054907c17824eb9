"""Leases, pacing, comparison, targets: the pure parts that the enforcer rests on."""

from dataclasses import dataclass, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from hashyard_agent.enforcement.comparison import (
    all_blank,
    differing,
    same_groups,
    same_url,
    worker_for,
    worker_matches,
)
from hashyard_agent.enforcement.leases import TimeMark, TrustedTime
from hashyard_agent.enforcement.pacing import Pacer
from hashyard_agent.ports import Pool, PoolGroup
from hashyard_agent.trust import RecordedCustomer, RecordedPool, RecordedPools, Trust
from hashyard_shared.signing import encode_base64
from hashyard_shared.trust import HoldingPool

HOUR_US = 3_600_000_000


@dataclass
class HandClock:
    """A clock set by hand."""

    wall_us: int = 0
    mono_s: float = 100.0

    def now_us(self) -> int:
        return self.wall_us

    def monotonic_s(self) -> float:
        return self.mono_s


def test_time_is_unknown_until_the_cloud_was_heard() -> None:
    clock = HandClock()
    time = TrustedTime(clock, "boot", None)
    assert time.now_us() is None
    assert time.heard(5 * HOUR_US)
    clock.mono_s += 3600
    assert time.now_us() == 6 * HOUR_US


def test_a_replayed_time_never_turns_the_bound_back() -> None:
    clock = HandClock()
    time = TrustedTime(clock, "boot", None)
    time.heard(5 * HOUR_US)
    clock.mono_s += 3600
    assert not time.heard(5 * HOUR_US)
    assert time.now_us() == 6 * HOUR_US


def test_a_restart_of_the_agent_keeps_the_time_and_one_of_the_machine_only_the_bound() -> None:
    clock = HandClock()
    time = TrustedTime(clock, "boot", None)
    time.heard(5 * HOUR_US)
    mark = TimeMark.parse(time.mark().text())
    clock.mono_s += 1800
    again = TrustedTime(clock, "boot", mark)
    assert again.now_us() == 5 * HOUR_US + HOUR_US // 2
    rebooted = TrustedTime(HandClock(mono_s=60), "other", mark)
    assert rebooted.now_us() is None
    assert rebooted.at_least_us() == 5 * HOUR_US + 60_000_000


def test_restarts_without_contact_do_not_stretch_a_lease() -> None:
    mark: TimeMark | None = TimeMark(0, 0.0, "boot-0", known=True)
    for number in range(1, 4):
        clock = HandClock(mono_s=0.0)
        time = TrustedTime(clock, f"boot-{number}", mark)
        clock.mono_s = 7200.0
        mark = time.due_mark()
        assert mark is not None
    assert mark is not None
    assert mark.at_us == 6 * HOUR_US


@given(
    st.lists(st.tuples(st.integers(1_000, 20_000), st.integers(0, 40)), min_size=1, max_size=60), st.integers(1, 8)
)
def test_no_minute_ever_holds_more_units_or_watts_than_the_limit(loads: list[tuple[int, int]], units: int) -> None:
    """Each write takes some seconds, and the miner may restart at the beginning or at the end of it."""
    watts_limit = 40_000
    pacer = Pacer(units, watts_limit)
    now_s = 0.0
    open_until: dict[str, float] = {}
    restarts: list[tuple[float, int]] = []

    def settle_due() -> None:
        for unit, until_s in sorted(open_until.items(), key=lambda entry: entry[1]):
            if until_s <= now_s:
                pacer.settle(unit, until_s)
                del open_until[unit]

    for number, (watts, lasts_s) in enumerate(loads):
        settle_due()
        while pacer.wait_s(now_s, watts) > 0:
            now_s += 1.0
            settle_due()
        pacer.reserve(str(number), watts)
        open_until[str(number)] = now_s + lasts_s
        restarts.append((now_s + (lasts_s if number % 2 else 0.0), watts))
    for at_s, _ in restarts:
        window = [watts for other_s, watts in restarts if at_s - 60 < other_s <= at_s]
        assert len(window) <= units
        assert sum(window) <= watts_limit


def test_a_unit_over_the_limit_is_admitted_alone() -> None:
    pacer = Pacer(10, 1_000)
    assert pacer.wait_s(0, 5_000) == 0
    pacer.reserve("a", 5_000)
    assert pacer.wait_s(0.5, 100) > 0
    pacer.settle("a", 1)
    assert pacer.wait_s(2, 100) == pytest.approx(59)


def test_a_refund_gives_the_share_back() -> None:
    pacer = Pacer(1, 10_000)
    pacer.reserve("a", 3_000)
    assert pacer.wait_s(0, 3_000) > 0
    pacer.refund("a")
    assert pacer.wait_s(0, 3_000) == 0


@pytest.mark.parametrize(
    ("left", "right", "same"),
    [
        ("stratum+tcp://a.example:3333", "a.example:3333", True),
        ("stratum+tcp://a.example:3333", "STRATUM+TCP://a.example:3333", True),
        ("stratum+ssl://a.example:3333", "a.example:3333", False),
        ("stratum+tcp://a.example:3333", "stratum2+tcp://a.example:3333", False),
        ("stratum+tcp://a.example:3333/x?y=1", "a.example:3333/x?y=1", True),
        ("stratum+tcp://[2001:db8::1]:3333", "[2001:db8::1]:3333", True),
        ("stratum+tcp://a.example:3333", "stratum+tcp://a.example:3334", False),
    ],
)
def test_only_a_missing_plain_scheme_makes_no_difference(left: str, right: str, same: bool) -> None:
    assert same_url(left, right) is same


def test_groups_are_the_same_by_pools_names_and_quotas() -> None:
    pool, blank = Pool("a:1", "w", "x"), Pool("", "", "")
    one = (PoolGroup((pool,), "main", 1),)
    assert same_groups(one, (PoolGroup((pool, blank, blank), "main", 1),))
    assert same_groups(one, (PoolGroup((replace(pool, password=None),), "main", 1),))
    assert not same_groups(one, (PoolGroup((replace(pool, password="y"),), "main", 1),))
    assert not same_groups(one, (PoolGroup((pool,), "main", 2),))
    assert not same_groups(one, (PoolGroup((pool,), "other", 1),))
    assert not same_groups(one, (*one, *one))
    assert not same_groups((PoolGroup((blank, pool)),), (PoolGroup((pool, blank)),))
    assert all_blank((PoolGroup((blank,)), PoolGroup(())))


def test_differing_names_settings_that_changed_came_or_went() -> None:
    assert differing({"a": 1, "b": 2, "c": 3}, {"a": 1, "b": 9, "d": 4}) == ["b", "c", "d"]


@given(st.text(max_size=60))
def test_a_label_can_never_leave_its_place_in_the_worker(label: str) -> None:
    worker = worker_for("account.{unit}", label)
    assert worker.startswith("account.")
    assert worker.count(".") == 1
    assert len(worker) <= len("account.") + 32
    assert worker_matches("account.{unit}", worker)


def test_a_worker_that_begins_with_the_label_cannot_be_pinned() -> None:
    key = encode_base64(b"k" * 32)
    for worker in ("{unit}", ".{unit}", "{unit}.account"):
        pool = HoldingPool(reference="main", url="stratum+tcp://a:1", worker=worker, password="")
        with pytest.raises(ValidationError):
            Trust(organisation_id="o", site_id="s", signing_keys=(key,), holding_pools=(pool,))


def test_recorded_passwords_are_found_by_pool_and_worker() -> None:
    entry = RecordedCustomer(
        customer_id="c",
        pools=(RecordedPool(url="stratum+tcp://a:1", worker="acc.{unit}", password="p"),),
        recorded_at_us=1,
        recorded_by="t",
    )
    recorded = RecordedPools(customers=(entry,))
    assert recorded.password("c", Pool("a:1", "acc.R1", None)) == "p"
    assert recorded.password("c", Pool("a:1", "other.R1", None)) is None
    assert recorded.password("d", Pool("a:1", "acc.R1", None)) is None
    assert recorded.groups("c", "R 1") == (PoolGroup((Pool("stratum+tcp://a:1", "acc.R-1", "p"),)),)


def test_after_a_start_of_the_machine_a_time_from_before_tells_nothing_of_now() -> None:
    hands = HandClock()
    time = TrustedTime(hands, "boot-2", TimeMark(5 * HOUR_US, 100.0, "boot-1", known=True))
    assert not time.heard(4 * HOUR_US)
    assert time.now_us() is None
    assert time.heard(6 * HOUR_US)
    assert time.now_us() == 6 * HOUR_US
