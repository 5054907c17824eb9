import pytest

from hashyard_agent.errors import SettingsError
from hashyard_agent.subnets import expand, parse_subnet, pieces


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("10.0.0/24", "is not a subnet"),
        ("nonsense", "is not a subnet"),
        ("", "is not a subnet"),
        ("10.0.0.5/24", "did you mean 10.0.0.0/24"),
        ("fd00::/64", "IPv6"),
        ("10.0.0.0/8", "split or narrow"),
    ],
)
def test_a_wrong_subnet_is_told_with_what_to_do(text: str, says: str) -> None:
    with pytest.raises(SettingsError, match=says):
        parse_subnet(text)


def test_no_subnet_is_an_error_not_an_empty_site() -> None:
    with pytest.raises(SettingsError, match="none is given"):
        expand(())


def test_addresses_once_each_without_ends_and_exclusions() -> None:
    assert expand(["10.0.0.0/29", "10.0.0.2"], ["10.0.0.4/31"]) == [
        "10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.6",
    ]  # fmt: skip
    assert expand(["10.0.0.7"]) == ["10.0.0.7"]
    assert len(expand(["10.0.0.0/20"], ["10.0.3.0/24"])) == 4094 - 256


def test_a_larger_network_keeps_addresses_that_look_like_ends_inside_it() -> None:
    found = expand(["10.0.0.0/23"])
    assert "10.0.0.255" in found
    assert "10.0.1.0" in found
    assert "10.0.1.255" not in found


def test_pieces_count_by_24() -> None:
    assert pieces(["10.0.0.1", "10.0.0.2", "10.0.1.1"]) == {"10.0.0": 2, "10.0.1": 1}
