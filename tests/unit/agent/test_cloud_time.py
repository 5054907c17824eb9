"""Cloud time: only forward, only by a pinned key, only for this agent, and unknown after a boot."""

from dataclasses import dataclass, field

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from hashyard_agent.cloud_time import CloudTimeKeeper
from hashyard_shared.clock import US_PER_S
from hashyard_shared.protocol import CloudTime
from hashyard_shared.signing import DocumentType, Envelope, SignatureError, new_private_key, public_bytes, sign

FIRST, SECOND, STRANGER = (new_private_key() for _ in range(3))
NOON_US = 1_773_900_000 * US_PER_S


@dataclass
class Hands:
    """A clock whose hands are moved by hand."""

    wall_us: int = NOON_US
    mono_s: float = 100.0

    def now_us(self) -> int:
        return self.wall_us

    def monotonic_s(self) -> float:
        return self.mono_s


@dataclass
class Memory:
    """State that lives as long as the test."""

    values: dict[str, str] = field(default_factory=dict)

    def state(self, key: str) -> str | None:
        return self.values.get(key)

    def set_state(self, key: str, value: str) -> None:
        self.values[key] = value


def told(at_us: int, key: Ed25519PrivateKey = FIRST, agent_id: str = "agent") -> Envelope:
    return sign(key, DocumentType.TIME, CloudTime(agent_id=agent_id, at_us=at_us).model_dump_json().encode())


def keeper(memory: Memory, clock: Hands, boot_id: str = "boot-1") -> CloudTimeKeeper:
    keys = [public_bytes(FIRST), public_bytes(SECOND)]
    return CloudTimeKeeper(memory, clock, boot_id=boot_id, agent_id="agent", signing_keys=lambda: keys)


def test_between_two_signed_times_the_monotonic_clock_counts() -> None:
    clock = Hands()
    time = keeper(Memory(), clock)
    assert time.now_us() is None
    time.observe(told(NOON_US))
    clock.mono_s += 5
    clock.wall_us -= 3_600 * US_PER_S
    assert time.now_us() == NOON_US + 5 * US_PER_S


def test_an_older_time_or_a_replay_changes_nothing() -> None:
    clock = Hands()
    time = keeper(Memory(), clock)
    time.observe(told(NOON_US))
    clock.mono_s += 60
    time.observe(told(NOON_US + 10 * US_PER_S))
    assert time.now_us() == NOON_US + 60 * US_PER_S
    assert time.highest_us() == NOON_US


def test_after_a_boot_only_the_highest_time_is_known() -> None:
    memory, clock = Memory(), Hands()
    keeper(memory, clock).observe(told(NOON_US))
    again = keeper(memory, clock, "boot-2")
    assert again.now_us() is None
    assert again.highest_us() == NOON_US
    again.observe(told(NOON_US - 1))
    assert again.now_us() is None, "a time before the highest one is a replay"


@pytest.mark.parametrize(
    "envelope", [told(NOON_US, STRANGER), told(NOON_US, agent_id="other")], ids=["stranger", "other agent"]
)
def test_a_time_that_is_not_ours_is_refused(envelope: Envelope) -> None:
    time = keeper(Memory(), Hands())
    with pytest.raises(SignatureError):
        time.observe(envelope)
    assert time.highest_us() is None


def test_another_kind_of_document_is_no_time() -> None:
    payload = CloudTime(agent_id="agent", at_us=NOON_US).model_dump_json().encode()
    with pytest.raises(SignatureError):
        keeper(Memory(), Hands()).observe(sign(FIRST, DocumentType.ORDER, payload))


def test_a_rotation_to_the_second_slot_is_taken_and_the_next_key_asked_for() -> None:
    time = keeper(Memory(), Hands())
    time.observe(told(NOON_US))
    assert time.note() is None
    time.observe(told(NOON_US + 1, SECOND))
    assert "add-key" in (time.note() or "")


def test_a_clock_that_is_off_is_told() -> None:
    clock = Hands(wall_us=NOON_US + 600 * US_PER_S)
    time = keeper(Memory(), clock)
    time.observe(told(NOON_US))
    assert "600 s ahead of" in (time.note() or "")


def test_a_damaged_memory_is_forgotten() -> None:
    memory = Memory({"cloud-time": "{"})
    assert keeper(memory, Hands()).highest_us() is None
