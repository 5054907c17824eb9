import hashlib
import uuid

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from hashyard_shared import codec
from hashyard_shared.codec import CodecError, TooLargeError, UnknownFormatError, decode_bytes, encode_bytes
from hashyard_shared.ids import MalformedIdError, miner_id, new_id, normalise_mac
from hashyard_shared.protocol import (
    MAX_FRAMES_PER_REQUEST,
    BatchHeader,
    BatchKind,
    FrameError,
    pack_frame,
    unpack_frames,
)
from hashyard_shared.telemetry import Cycle, Roster, RosterEntry


def header(seq: int, body: bytes) -> BatchHeader:
    return BatchHeader(
        epoch=1,
        seq=seq,
        kind=BatchKind.TELEMETRY,
        cycle_at_us=7,
        count=1,
        sha256=hashlib.sha256(body).hexdigest(),
    )


@given(st.lists(st.binary(max_size=300), max_size=20))
def test_frames_come_back_as_they_were_packed(bodies: list[bytes]) -> None:
    frames = [(header(seq, body), body) for seq, body in enumerate(bodies, start=1)]
    assert list(unpack_frames(b"".join(pack_frame(*frame) for frame in frames))) == frames


@given(st.data())
def test_cut_or_random_frames_are_refused_never_misread(data: st.DataObject) -> None:
    whole = pack_frame(header(1, b"body"), b"body")
    cut = data.draw(st.integers(min_value=1, max_value=len(whole) - 1))
    with pytest.raises(FrameError):
        list(unpack_frames(whole[:cut]))
    noise = data.draw(st.binary(min_size=1, max_size=200))
    with pytest.raises(FrameError):
        list(unpack_frames(noise))


def test_too_many_frames_are_refused() -> None:
    frame = pack_frame(header(1, b""), b"")
    with pytest.raises(FrameError, match="more than"):
        list(unpack_frames(frame * (MAX_FRAMES_PER_REQUEST + 1)))


@given(st.binary(max_size=5_000))
def test_bodies_come_back_as_they_were_packed(data: bytes) -> None:
    assert decode_bytes(encode_bytes(data)) == data


@given(st.binary(max_size=200))
def test_random_bodies_raise_only_codec_errors(data: bytes) -> None:
    with pytest.raises(CodecError):
        decode_bytes(data)


def test_a_bomb_is_refused_before_it_unpacks() -> None:
    bomb = bytes([codec.FORMAT_JSON_ZSTD]) + zstandard.compress(bytes(codec.MAX_DECODED_BYTES + 1))
    assert len(bomb) < 10_000
    with pytest.raises(TooLargeError):
        decode_bytes(bomb)
    with pytest.raises(TooLargeError):
        decode_bytes(b"\x01" + bytes(codec.MAX_BODY_BYTES))
    with pytest.raises(UnknownFormatError):
        decode_bytes(b"\xfa" + zstandard.compress(b"{}"))


def cycle(**changes: object) -> Cycle:
    column = [1, None]
    fields: dict[str, object] = dict.fromkeys(
        [
            "offset_ms",
            "hashrate_ths",
            "power_w",
            "temp_chip_c",
            "temp_board_c",
            "fan_rpm",
            "uptime_s",
            "shares_accepted",
            "shares_rejected",
        ],
        column,
    )
    fields |= {
        "roster_id": "r",
        "cycle_at_us": 1,
        "interval_s": 60,
        "boot_id": "b",
        "mono_s": 0.5,
        "state": [1, 3],
        "pool": [0, None],
        "pools": [("stratum+tcp://pool:3333", "w.1")],
    }
    return Cycle.model_validate(fields | changes)


def test_a_cycle_keeps_unseen_apart_from_zero() -> None:
    read = Cycle.model_validate_json(cycle(power_w=[0, None]).model_dump_json())
    assert read.power_w == [0, None]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"power_w": [1]}, "power_w has 1 values for 2"),
        ({"pool": [1, None]}, "outside"),
        ({"state": [9, 1]}, "state"),
    ],
)
def test_columns_that_do_not_fit_are_named(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        cycle(**changes)


def test_a_roster_is_named_by_its_content() -> None:
    one = RosterEntry(miner_id="mac:aa:bb:cc:dd:ee:ff", ip="127.0.0.1", family="luxos")
    same = Roster(miners=[one.model_copy()])
    assert Roster(miners=[one]).roster_id() == same.roster_id()
    moved = Roster(miners=[one.model_copy(update={"ip": "127.0.0.2"})])
    assert moved.roster_id() != same.roster_id()


@pytest.mark.parametrize("text", ["AA-BB-CC-DD-EE-FF", "aabb.ccdd.eeff", " aa:bb:cc:dd:ee:ff\n"])
def test_macs_are_normalised(text: str) -> None:
    assert normalise_mac(text) == "aa:bb:cc:dd:ee:ff"


@pytest.mark.parametrize(
    "text", ["", "aa:bb:cc:dd:ee", "00:00:00:00:00:00", "ff:ff:ff:ff:ff:ff", "zz:bb:cc:dd:ee:ff"]
)
def test_what_is_no_mac_is_refused(text: str) -> None:
    with pytest.raises(MalformedIdError):
        normalise_mac(text)


def test_identity_is_the_mac_then_the_serial_never_nothing() -> None:
    assert miner_id("AA:BB:CC:DD:EE:FF", "S1") == "mac:aa:bb:cc:dd:ee:ff"
    assert miner_id(None, " S1 ") == "serial:S1"
    assert miner_id(None, " ") is None


def test_ids_are_uuid7_and_sort_by_time() -> None:
    early, late = new_id(1_700_000_000_000_000), new_id(1_700_000_001_000_000)
    assert early < late
    assert uuid.UUID(early).version == 7
    assert uuid.UUID(early).variant == uuid.RFC_4122
