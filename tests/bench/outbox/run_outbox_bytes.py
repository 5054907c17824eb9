"""Bytes a sample on disk: database and log, 5,000 miners, a day of cycles, from a fixed seed. One JSON line.

    python tests/bench/outbox/run_outbox_bytes.py [--miners 5000] [--cycles 1440] [--seed 1]

Miners differ in model and pool; hashrate wanders around its own mean with the noise of a 5 s average, fans move in
steps of 30, shares follow the hashrate, one in fifty restarts a day, one in a hundred is unreachable now and then.
"""

import argparse
import json
import random
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from hashyard_agent.adapters.outbox import SqliteOutbox
from hashyard_shared.clock import US_PER_S, SystemClock
from hashyard_shared.codec import encode
from hashyard_shared.cycle_codec import pack
from hashyard_shared.protocol import BatchKind
from hashyard_shared.telemetry import Cycle, MinerState, Roster, RosterEntry

START_US = 1_773_900_000 * US_PER_S
INTERVAL_S = 60
SPREAD_MS = 42_000
MODELS = ((104.0, 3_068), (141.0, 3_010), (234.0, 3_510), (92.0, 3_250), (200.0, 3_500))
POOLS = [(f"stratum+tcp://pool{at}.example.com:3333", f"customer{at}.farm") for at in range(8)]


@dataclass
class Miner:
    """One simulated device and its counters."""

    expected_ths: float
    power_w: int
    place_ms: int
    pool: int
    efficiency: float
    temp_c: float
    fan_rpm: int
    boot_s: int
    accepted: float
    rejected: float
    away_until: int = -1


def fleet(count: int, chance: random.Random) -> list[Miner]:
    miners = []
    for _ in range(count):
        expected_ths, power_w = chance.choice(MODELS)
        up_s = chance.randrange(60, 40 * 86_400)
        accepted = up_s / 60 * expected_ths / 12
        miners.append(
            Miner(
                expected_ths,
                power_w,
                chance.randrange(SPREAD_MS),
                chance.randrange(len(POOLS)),
                chance.gauss(0.985, 0.01),
                chance.gauss(68, 4),
                5_880 + 30 * chance.randrange(-8, 8),
                START_US // US_PER_S - up_s,
                accepted,
                accepted * chance.uniform(0.0005, 0.004),
            )
        )
    return miners


def cycle_of(miners: list[Miner], number: int, roster_id: str, chance: random.Random) -> Cycle:
    at_us = START_US + number * INTERVAL_S * US_PER_S
    rows = [row_of(miner, number, at_us // US_PER_S, chance) for miner in miners]
    columns = list(zip(*rows, strict=True))
    return Cycle(
        roster_id=roster_id,
        cycle_at_us=at_us,
        interval_s=INTERVAL_S,
        boot_id="6f1c3f0e-8f43-4b5c-9d0e-1f2a3b4c5d6e",
        mono_s=number * INTERVAL_S + 0.25,
        state=list(columns[0]),
        offset_ms=list(columns[1]),
        hashrate_ths=list(columns[2]),
        power_w=list(columns[3]),
        temp_chip_c=list(columns[4]),
        temp_board_c=list(columns[5]),
        fan_rpm=list(columns[6]),
        uptime_s=list(columns[7]),
        shares_accepted=list(columns[8]),
        shares_rejected=list(columns[9]),
        pool=list(columns[10]),
        pools=POOLS,
    )


def row_of(miner: Miner, number: int, now_s: int, chance: random.Random) -> tuple[object, ...]:
    if miner.away_until >= number or chance.random() < 1 / 6_000:
        if miner.away_until < number:
            miner.away_until = number + chance.randrange(1, 60)
            miner.boot_s = now_s + 60 * (miner.away_until - number)
        return (MinerState.UNREACHABLE, *([None] * 10))
    hashrate_ths = miner.expected_ths * chance.gauss(miner.efficiency, 0.02)
    rate = miner.expected_ths / 12
    miner.accepted += max(0.0, chance.gauss(rate, rate**0.5))
    miner.rejected += chance.random() < 0.02
    miner.temp_c += chance.gauss(0, 0.3) - (miner.temp_c - 68) * 0.02
    miner.fan_rpm += 30 * chance.choice((-1, 0, 0, 0, 1))
    miner.fan_rpm = min(6_600, max(4_800, miner.fan_rpm))
    return (
        MinerState.ONLINE,
        miner.place_ms + int(chance.expovariate(1 / 15)),
        round(hashrate_ths * 100),
        round(chance.gauss(miner.power_w, 12)),
        round(miner.temp_c),
        round(miner.temp_c - 12),
        miner.fan_rpm,
        max(0, now_s - miner.boot_s + miner.place_ms // 1000),
        int(miner.accepted),
        int(miner.rejected),
        miner.pool,
    )


def roster_of(count: int) -> Roster:
    return Roster(
        miners=[
            RosterEntry(
                miner_id=f"mac:02:00:00:00:{at >> 8:02x}:{at & 255:02x}",
                mac=f"02:00:00:00:{at >> 8:02x}:{at & 255:02x}",
                serial=f"SN{at:010d}",
                ip=f"10.20.{at >> 8}.{at & 255}",
                family="antminer-stock",
                make="AntMiner",
                model="S19j Pro",
                firmware="2024.05",
            )
            for at in range(count)
        ]
    )


def measure(miner_count: int, cycles: int, seed: int) -> dict[str, float | int | str]:
    chance = random.Random(seed)
    miners = fleet(miner_count, chance)
    roster = roster_of(miner_count)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "outbox.db"
        outbox = SqliteOutbox(path, max_bytes=50_000_000_000, headroom_bytes=0, clock=SystemClock())
        outbox.put(BatchKind.ROSTER, START_US, miner_count, encode(roster))
        body_bytes = 0
        put_s = 0.0
        for number in range(cycles):
            cycle = cycle_of(miners, number, roster.roster_id(), chance)
            started_s = time.perf_counter()
            body = pack(cycle)
            outbox.put(BatchKind.TELEMETRY, cycle.cycle_at_us, miner_count, body)
            put_s += time.perf_counter() - started_s
            body_bytes += len(body)
        # As it lies on the disk while the agent runs: the log is part of it.
        disk_bytes = sum(file.stat().st_size for file in path.parent.iterdir())
        outbox.close()
    samples = cycles * miner_count
    return {
        "bench": "outbox-bytes",
        "miners": miner_count,
        "cycles": cycles,
        "seed": seed,
        "bytes_per_sample": round(disk_bytes / samples, 2),
        "body_bytes_per_sample": round(body_bytes / samples, 2),
        "put_ms_per_cycle": round(put_s / cycles * 1_000, 1),
        "days_in_10_gb_at_60_s": round(10e9 / (disk_bytes / cycles * 1_440), 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--miners", type=int, default=5_000)
    parser.add_argument("--cycles", type=int, default=1_440)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    print(json.dumps(measure(given.miners, given.cycles, given.seed)))


if __name__ == "__main__":
    main()
