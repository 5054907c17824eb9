"""What every family is to the simulator."""

import random
from abc import ABC, abstractmethod
from typing import Any, ClassVar

from hashyard_simulator.device import Device, Pool
from hashyard_simulator.station import Endpoint


class Family(ABC):
    """The wire protocols of one firmware, speaking for one device.

    Class attributes describe the firmware: its account and factory password, how many pools it holds
    (`slots`), whether those are always so many (`pads_slots`), and whether it needs ports below 1024.
    """

    name: ClassVar[str]
    account: ClassVar[str] = "root"
    password: ClassVar[str] = "root"
    hostname: ClassVar[str] = "miner"
    slots: ClassVar[int] = 3
    privileged_ports: ClassVar[bool] = True
    needs_tls: ClassVar[bool] = False

    def __init__(self, device: Device) -> None:
        self.device = device

    @abstractmethod
    def endpoints(self) -> list[Endpoint]:
        """The ports this firmware listens on."""

    @classmethod
    @abstractmethod
    def initial_settings(cls, rng: random.Random) -> dict[str, Any]:
        """Settings other than pools, away from the factory's, so that a writer that resets them shows."""


def filled_slots(pools: list[Pool], slots: int) -> list[Pool]:
    """The pools in a firmware's fixed number of slots, blanks behind them."""
    blanks = [Pool("", "", "") for _ in range(slots - len(pools))]
    return [*pools[:slots], *blanks]
