import pytest

from hashyard_cloud.domain.dunning import (
    Delivery,
    NoticeKind,
    Stage,
    Terms,
    cure_over_at_us,
    duration_s,
    duration_text,
    stage,
)
from hashyard_cloud.domain.errors import AmountError

S = 1_000_000


@pytest.mark.parametrize(
    ("text", "seconds"), [("30 s", 30), ("2min", 120), (" 12 H ", 43_200), ("15 d", 1_296_000), ("0 s", 0)]
)
def test_duration(text: str, seconds: int) -> None:
    assert duration_s(text) == seconds


@pytest.mark.parametrize("text", ["", "5", "-1 d", "1.5 h", "3 weeks", "400 d"])
def test_duration_refuses(text: str) -> None:
    with pytest.raises(AmountError):
        duration_s(text)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (-5, "0 s"), (12, "12 s"), (2_040, "34 min"), (187_200, "2 d 4 h"), (90_061, "1 d 1 h")],
)
def test_duration_text(seconds: int, text: str) -> None:
    assert duration_text(seconds) == text


def test_stages() -> None:
    terms = Terms(due_s=10, grace_s=5, cure_s=3)
    due = terms.due_at_us(0)
    assert due == 10 * S
    assert stage(terms, due, due - 1) is Stage.NOT_DUE
    assert stage(terms, due, due) is Stage.GRACE
    assert stage(terms, due, 15 * S) is Stage.DEFAULT
    assert cure_over_at_us(terms, 20 * S) == 23 * S


@pytest.mark.parametrize("terms", [(-1, 0, 0), (0, 367 * 86_400, 0), (0, 0, -2)])
def test_terms_are_bounded(terms: tuple[int, int, int]) -> None:
    with pytest.raises(AmountError):
        Terms(*terms)


@pytest.mark.parametrize(
    ("accepted", "bounced", "proof", "now", "delivered"),
    [
        (None, None, None, 100, None),
        (10, None, None, 39, None),
        (10, None, None, 40, 40),
        (10, 20, None, 100, None),
        (10, 20, 50, 100, 50),
        (None, None, 50, 60, 50),
        (10, None, 50, 60, 40),
        (30, None, 50, 55, 50),
        (10, None, 35, 60, 35),
    ],
)
def test_delivery(
    accepted: int | None, bounced: int | None, proof: int | None, now: int, delivered: int | None
) -> None:
    def us(value: int | None) -> int | None:
        return None if value is None else value * S

    found = Delivery(us(accepted), us(bounced), us(proof)).delivered_at_us(bounce_wait_s=30, now_us=now * S)
    assert found == us(delivered)


def test_every_notice_has_a_label() -> None:
    assert all(kind.label for kind in NoticeKind)
