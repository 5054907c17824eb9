"""Break everything at random, then ask the oracle. `python -m chaos --kills 50 --seed 1` from the tests folder.

Ends with one JSON line: lost, duplicated, kills, samples, seed, and what was done. A seed replays the same plan of
faults; what the machine does between them is its own.
"""

import argparse
import json
import random
import secrets
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Final

from chaos import network, oracle
from chaos.world import World
from hashyard_demo.processes import ProcessEndedError, wait_until

DRAIN_TIMEOUT_S: Final = 180
TRAFFIC_TIMEOUT_S: Final = 12
READ_ONLY_EXIT: Final = 3
CLOCK_JUMPS_S: Final = (-86_400, -3_600, -30, 30, 3_600, 86_400)
SAIL_TIMEOUT_S: Final = 300
FEWEST_FAULTS: Final = 30
"""Of each kind of the network's, in the long form."""


class Chaos:
    """A plan of faults from a seed."""

    def __init__(self, world: World, chance: random.Random, kills: int, pace: float, faults: int) -> None:
        self.world = world
        self.pace = pace
        self.chance = chance
        self.kills_wanted = kills
        self.faults_wanted = faults
        self._jumps: list[int] = []
        self.kills = 0
        self.did: Counter[str] = Counter()

    def run(self) -> None:
        """Do it, until enough was killed; then let everything heal."""
        faults = self._faults()
        names = [name for name, (_, weight) in faults.items() for _ in range(weight)]
        # Each kind at least once, whatever the seed.
        plan = self.chance.sample(list(faults), len(faults))
        while plan or self.kills < self.kills_wanted:
            name = plan.pop() if plan else self.chance.choice(names)
            self.did[name] += 1
            faults[name][0]()
            self._pause(1, 4)
        self._sail()
        self._heal()

    def _faults(self) -> dict[str, tuple[Callable[[], None], int]]:
        faults: dict[str, tuple[Callable[[], None], int]] = {
            "kill_agent": (self._kill_agent, 4),
            "kill_cloud": (self._kill_cloud, 4),
            "kill_both": (self._kill_both, 2),
            "bad_network": (lambda: self._weather(network.BAD), 4),
            "storm": (lambda: self._weather(network.STORM), 1),
            "dark": (lambda: self._weather(network.DARK), 1),
            "damaged_row": (self._damage, 2),
            "backlog": (self._backlog, 3),
            "migration": (self._migrate, 2),
        }
        if self.world.clock_moves:
            faults["clock"] = (self._move_clock, 3)
        if self.world.small_disk:
            faults["full_disk"] = (self._fill_disk, 2)
            faults["read_only_disk"] = (self._read_only_disk, 2)
        return faults

    def _sail(self) -> None:
        """Through rough water until every fault of the network has happened often enough."""
        self.world.network.mood = network.ROUGH
        deadline = time.monotonic() + SAIL_TIMEOUT_S
        while self._missing() and time.monotonic() < deadline:
            self._traffic(1)
        self.world.network.mood = network.CALM

    def too_seldom(self) -> list[str]:
        """Faults that were planned and did not happen as often as they should: then nothing was proven."""
        planned = ["rows_damaged", "migrations_killed", *self._faults()]
        return [*self._missing(), *(name for name in planned if not self.did[name])]

    def _missing(self) -> list[str]:
        did, few = self.world.network.did, -(-self.faults_wanted // 6)
        wanted = dict.fromkeys(network.FAULTS, self.faults_wanted) | {"reordered": few}
        return [name for name, count in wanted.items() if did[name] < count]

    def _kill_agent(self) -> None:
        self._kill("agent")
        self._pause(0, 0.5)
        self.world.start_agent()
        # Into the middle of starting, of the first cycle, of sending.
        self._pause(0.2, 4)

    def _kill_cloud(self) -> None:
        self._kill("cloud")
        self._pause(0, 1)
        self.world.start_cloud()
        self._pause(0.2, 4)

    def _kill_both(self) -> None:
        self._kill("agent")
        self._kill("cloud")
        self.world.start_agent()
        self._pause(0, 2)
        self.world.start_cloud()
        self._pause(1, 4)

    def _kill(self, which: str) -> None:
        program = self.world.agent if which == "agent" else self.world.cloud
        if program is None:
            return
        program.check()
        program.kill()
        self.kills += 1

    def _weather(self, mood: network.Mood) -> None:
        self.world.network.mood = mood
        self._traffic(4)
        if self.chance.random() < 0.5:
            self._kill_agent()
        self.world.network.mood = self.chance.choice((network.CALM, network.CALM, network.BAD))

    def _backlog(self) -> None:
        """A site that was cut off comes back over a bad line, and is killed while it delivers."""
        self._kill("agent")
        self.world.add_backlog(self.chance.randrange(100, 400))
        self.world.network.mood = network.BAD
        self.world.start_agent()
        self._traffic(self.chance.randrange(1, 5))
        self._kill(self.chance.choice(("agent", "cloud")))
        if self.world.agent is not None and not self.world.agent.running:
            self.world.start_agent()
        if self.world.cloud is not None and not self.world.cloud.running:
            self.world.start_cloud()
        self._pause(2, 6)

    def _migrate(self) -> None:
        """A version that changes the outbox is killed in the middle; the agent goes on with what was there."""
        self._kill("agent")
        self.did["migrations_killed"] += self.world.kill_in_migration()
        self.kills += 1
        self.world.start_agent()
        self._pause(1, 3)

    def _damage(self) -> None:
        self.world.network.mood = network.DARK
        before = self.world.acknowledged()
        with suppress(TimeoutError, ProcessEndedError):
            wait_until(lambda: self.world.acknowledged() > before, "a row waits", TRAFFIC_TIMEOUT_S)
        self._kill("agent")
        for _ in range(self.chance.randrange(1, 4)):
            self.did["rows_damaged"] += self.world.damage_a_row(self.chance.randrange(1_000))
        self.world.network.mood = network.CALM
        self.world.start_agent()
        self._pause(1, 3)

    def _move_clock(self) -> None:
        if not self._jumps:
            self._jumps = self.chance.sample(CLOCK_JUMPS_S, len(CLOCK_JUMPS_S))
        jump_s = self._jumps.pop()
        self.did["clock_ahead" if jump_s > 0 else "clock_back"] += 1
        self.world.set_clock(jump_s)
        self._pause(1, 3)
        if self.chance.random() < 0.5:
            self.world.set_clock(0)

    def _fill_disk(self) -> None:
        self.world.network.mood = network.DARK
        self.world.fill_disk()
        self._pause(3, 8)
        if self.chance.random() < 0.5:
            self._kill("agent")
            self.world.start_agent()
            self._pause(2, 4)
        self.world.network.mood = network.CALM
        self._pause(0, 2)
        self.world.free_disk()

    def _read_only_disk(self) -> None:
        self._kill("agent")
        self.world.remount("ro")
        code = self.world.run_agent_to_its_end()
        self.world.remount("rw")
        self.did["read_only_refused"] += code == READ_ONLY_EXIT
        if code != READ_ONLY_EXIT:
            raise AssertionError(f"on a read-only disk the agent ended with {code}, not {READ_ONLY_EXIT}")
        self.world.start_agent()
        self._pause(1, 2)

    def _heal(self) -> None:
        world = self.world
        world.network.mood = network.CALM
        world.set_clock(0)
        if world.small_disk:
            world.free_disk()
        for program in (world.agent, world.cloud):
            if program is not None:
                program.check()
        before = world.acknowledged()
        wait_until(lambda: world.acknowledged() > before, "polling goes on after it all", DRAIN_TIMEOUT_S)
        # The agent goes on polling; stopped, started and stopped again it must be able to send what is left.
        wait_until(lambda: world.waiting() <= 1, "the outbox drains", DRAIN_TIMEOUT_S)
        self._drain_for_good()

    def _drain_for_good(self) -> None:
        """No new cycles, so that the outbox can become empty: without subnets and fleet nothing is polled."""
        world = self.world
        if world.agent is not None:
            world.agent.stop()
        text = world.agent_config.read_text(encoding="utf-8")
        world.agent_config.write_text(text.replace(f'["{world.subnet}"]', "[]"), encoding="utf-8")
        (world.data / "fleet.json").unlink(missing_ok=True)
        world.start_agent()
        wait_until(lambda: world.waiting() == 0, "the outbox becomes empty", DRAIN_TIMEOUT_S)
        wait_until(lambda: world.unprojected() == 0, "the cloud has projected everything", DRAIN_TIMEOUT_S)
        world.stop_all()

    def _traffic(self, deliveries: int) -> None:
        """Wait until the agent has tried to deliver this often: weather that nobody walks in changes nothing."""
        wanted = self.world.network.deliveries + deliveries
        deadline = time.monotonic() + TRAFFIC_TIMEOUT_S
        while self.world.network.deliveries < wanted and time.monotonic() < deadline:
            time.sleep(0.02)

    def _pause(self, least_s: float, most_s: float) -> None:
        time.sleep(self.pace * self.chance.uniform(least_s, most_s))


def main() -> int:
    """Run from the command line; 0 when nothing was lost, doubled or changed."""
    parser = argparse.ArgumentParser(prog="chaos", description="Break everything at random, then ask the oracle.")
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--miners", type=int, default=40)
    parser.add_argument(
        "--faults", type=int, default=FEWEST_FAULTS, help="At least so many of each network fault."
    )
    parser.add_argument("--pace", type=float, default=1, help="Pauses between faults are this much longer.")
    parser.add_argument("--subnet", default="127.61.1.0/24")
    parser.add_argument("--logs", type=Path, default=None, help="Keep the programs' logs here.")
    given = parser.parse_args()
    seed = secrets.randbelow(1_000_000) if given.seed is None else given.seed
    sys.stderr.write(f"chaos: seed {seed}\n")
    with tempfile.TemporaryDirectory(prefix="chaos-") as folder:
        world = World(Path(folder), seed=seed, miners=given.miners, subnet=given.subnet)
        chaos = Chaos(world, random.Random(seed), given.kills, given.pace, given.faults)
        try:
            with world.running():
                for line in world.skipped():
                    sys.stderr.write(f"chaos: NOT BROKEN HERE: {line}\n")
                chaos.run()
                verdict = oracle.judge(world.outbox, world.cloud_data)
        finally:
            if given.logs is not None:
                world.keep_logs(given.logs)
    result = {
        "lost": verdict.lost,
        "duplicated": verdict.duplicated,
        "kills": chaos.kills,
        "samples": verdict.samples,
        "seed": seed,
        **{key: value for key, value in asdict(verdict).items() if key not in {"lost", "duplicated", "samples"}},
        "faults": dict(chaos.did),
        "network": dict(world.network.did),
        "too_seldom": chaos.too_seldom(),
        "skipped": world.skipped(),
    }
    print(json.dumps(result))
    return 0 if verdict.holds and not result["too_seldom"] else 1


if __name__ == "__main__":
    sys.exit(main())
