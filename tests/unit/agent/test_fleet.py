import json
from pathlib import Path

import pytest

from hashyard_agent.adapters.fleet_file import FleetFile
from hashyard_agent.fleet import Fleet, KnownMiner, SwapQuestion
from hashyard_agent.ports import Identity

MAC_A = "02:5e:e0:00:00:0a"
MAC_B = "02:5e:e0:00:00:0b"


def miner(ip: str, mac: str | None, serial: str | None = None) -> KnownMiner:
    return KnownMiner(Identity(ip, mac, serial, "luxos", "Bitmain", "S19", "1"))


def test_a_miner_goes_by_mac_then_serial_then_address() -> None:
    assert miner("10.0.0.1", MAC_A, "S").own_id == f"mac:{MAC_A}"
    assert miner("10.0.0.1", None, "S").own_id == "serial:S"
    assert miner("10.0.0.1", None).own_id == "ip:10.0.0.1"


def test_two_devices_with_one_mac_stay_two() -> None:
    fleet = Fleet([miner("10.0.0.1", MAC_A), miner("10.0.0.2", MAC_A), miner("10.0.0.3", MAC_B)])
    assert [found for found, _ in fleet.by_id()] == [
        f"mac:{MAC_A}~10.0.0.1",
        f"mac:{MAC_A}~10.0.0.2",
        f"mac:{MAC_B}",
    ]
    assert [each.ip for each in fleet.by_mac(MAC_A.upper())] == ["10.0.0.1", "10.0.0.2"]
    assert list(fleet.duplicate_macs()) == [MAC_A]


def test_a_displaced_miner_is_lost_until_it_is_seen_again() -> None:
    fleet = Fleet([miner("10.0.0.1", MAC_A)])
    fleet.displace("10.0.0.1")
    fleet.put(miner("10.0.0.1", MAC_B))
    assert {(each.identity.mac, each.ip) for each in fleet.all()} == {(MAC_A, ""), (MAC_B, "10.0.0.1")}
    fleet.put(miner("10.0.0.9", MAC_A))
    assert {(each.identity.mac, each.ip) for each in fleet.all()} == {(MAC_A, "10.0.0.9"), (MAC_B, "10.0.0.1")}
    assert len(fleet) == 2


def test_the_version_changes_with_identity_and_not_with_sight() -> None:
    fleet = Fleet()
    fleet.put(miner("10.0.0.1", MAC_A))
    before = fleet.version
    fleet.touch("10.0.0.1", seen_at_us=5, open_ports=(80,))
    fleet.miss("10.0.0.1")
    assert fleet.version == before
    fleet.put(miner("10.0.0.1", MAC_B))
    assert fleet.version > before


def test_a_question_is_asked_once_and_blocks_until_answered() -> None:
    fleet = Fleet()
    old, new = miner("10.0.0.1", MAC_A).identity, miner("10.0.0.1", MAC_B).identity
    assert fleet.ask(SwapQuestion("10.0.0.1", old, new, 1))
    assert not fleet.ask(SwapQuestion("10.0.0.1", old, new, 2))
    assert fleet.is_questioned(MAC_B)
    fleet.answer(MAC_A, MAC_B)
    assert not fleet.is_questioned(MAC_B)
    assert fleet.questions() == []


def test_a_question_is_settled_when_the_new_device_is_bound_instead_of_the_old() -> None:
    fleet = Fleet()
    fleet.ask(SwapQuestion("10.0.0.1", miner("10.0.0.1", MAC_A).identity, miner("10.0.0.1", MAC_B).identity, 1))
    fleet.settle_bound([MAC_A])
    fleet.settle_bound([MAC_A, MAC_B])
    assert fleet.is_questioned(MAC_B)
    fleet.settle_bound([MAC_B.upper()])
    assert not fleet.is_questioned(MAC_B)


def test_the_fleet_survives_a_restart(tmp_path: Path) -> None:
    store = FleetFile(tmp_path / "state" / "miners.json")
    assert store.load() == []
    known = [miner("10.0.0.1", MAC_A), miner("", MAC_B)]
    store.save(known)
    assert store.load() == known
    assert {each.identity.mac for each in Fleet(store.load()).all()} == {MAC_A, MAC_B}


@pytest.mark.parametrize("text", ["{", "[]", json.dumps({"format": 99, "miners": []}), json.dumps({"format": 1})])
def test_a_damaged_file_is_set_aside_and_never_a_reason_not_to_start(tmp_path: Path, text: str) -> None:
    path = tmp_path / "miners.json"
    path.write_text(text)
    assert FleetFile(path).load() == []
    assert (tmp_path / "miners.damaged").read_text() == text
