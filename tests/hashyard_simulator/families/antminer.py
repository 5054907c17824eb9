"""What stock Antminer firmwares and their descendants share on port 4028."""

from typing import Any

from hashyard_simulator.cgminer import Answer, pool_rows, status
from hashyard_simulator.device import Device, Reading


def summary_section(device: Device, reading: Reading) -> Answer:
    pools = device.pools
    accepted = sum(p.accepted for p in pools)
    rejected = sum(p.rejected for p in pools)
    return {
        "Elapsed": reading.uptime_s,
        "GHS 5s": f"{reading.hashrate_ths * 1000:.2f}",
        "GHS av": round(reading.average_ths * 1000, 2),
        "GHS 30m": round(reading.average_ths * 1000, 2),
        "Found Blocks": 0,
        "Getworks": accepted // 3,
        "Accepted": accepted,
        "Rejected": rejected,
        "Hardware Errors": 11,
        "Utility": 12.1,
        "Discarded": 0,
        "Stale": sum(p.stale for p in pools),
        "Get Failures": 0,
        "Local Work": accepted * 4,
        "Remote Failures": 0,
        "Network Blocks": 120,
        "Total MH": float(int(reading.average_ths * 1e6) * reading.uptime_s),
        "Work Utility": 1_300_000.0,
        "Difficulty Accepted": float(accepted * 65536),
        "Difficulty Rejected": float(rejected * 65536),
        "Difficulty Stale": 0.0,
        "Best Share": 0,
        "Device Hardware%": 0.0,
        "Device Rejected%": 0.0,
        "Pool Rejected%": 0.4,
        "Pool Stale%": 0.2,
        "Last getwork": int(device.clock.wall_s()),
    }


def stats_section(device: Device, reading: Reading, *, first_board: int = 1, first_fan: int = 1) -> Answer:
    """The numbered fields: boards and fans count from what the model has, four temperatures a board."""
    section: dict[str, Any] = {
        "STATS": 0,
        "ID": "BTM_SOC0",
        "Elapsed": reading.uptime_s,
        "Calls": 0,
        "Wait": 0.0,
        "GHS 5s": round(reading.hashrate_ths * 1000, 2),
        "GHS av": round(reading.average_ths * 1000, 2),
        "rate_30m": round(reading.average_ths * 1000, 2),
        "Mode": 2,
        "miner_count": len(reading.boards),
        "frequency": 675,
        "fan_num": len(reading.fans_rpm),
        "temp_num": len(reading.boards),
        "total_rateideal": round(device.model.hashrate_ths * 1000, 2),
        "rate_unit": "GH",
        "total_freqavg": 675.0,
        "total_acn": sum(b.chips for b in reading.boards),
        "total_rate": round(reading.hashrate_ths * 1000, 2),
    }
    for number, rpm in enumerate(reading.fans_rpm, start=first_fan):
        section[f"fan{number}"] = rpm
    for number, board in enumerate(reading.boards, start=first_board):
        section[f"temp{number}"] = board.temp_chip_c
        section[f"temp2_{number}"] = board.temp_pcb_c
        section[f"temp_pcb{number}"] = "-".join([str(board.temp_pcb_c)] * 4)
        section[f"temp_chip{number}"] = "-".join([str(board.temp_chip_c)] * 4)
        section[f"chain_rate{number}"] = f"{board.hashrate_ths * 1000:.2f}"
        section[f"chain_acn{number}"] = board.chips
        section[f"chain_acs{number}"] = " " + "o" * board.chips
        section[f"chain_hw{number}"] = 0
        section[f"chain_sn{number}"] = board.serial
        section[f"freq{number}"] = 675
    return section


def version_section(device: Device, *, miner: str, type_name: str) -> Answer:
    return {
        "BMMiner": "1.0.0",
        "API": "3.1",
        "Miner": miner,
        "CompileTime": device.model.firmware,
        "Type": type_name,
    }


class AntminerReads:
    """The reading commands of a bmminer: `version`, `summary`, `stats`, `pools`, `devs`."""

    NAMES = frozenset({"version", "summary", "stats", "pools", "devs"})

    def __init__(
        self,
        device: Device,
        *,
        miner: str,
        type_name: str,
        description: str,
        first_board: int = 1,
        first_fan: int = 1,
    ) -> None:
        self._device = device
        self._first_board = first_board
        self._first_fan = first_fan
        self._miner = miner
        self._type_name = type_name
        self._description = description

    def respond(self, command: str) -> Answer:
        device = self._device
        device.settle()
        if command == "pools":
            rows = pool_rows(device)
            return self._wrap(7, f"{len(rows)} Pool(s)", "POOLS", rows)
        reading = device.reading()
        if command == "version":
            section = version_section(device, miner=self._miner, type_name=self._type_name)
            return self._wrap(22, "BMMiner versions", "VERSION", [section])
        if command == "summary":
            return self._wrap(11, "Summary", "SUMMARY", [summary_section(device, reading)])
        if command == "devs":
            rows = [_dev_row(b.slot, b.hashrate_ths, b.temp_pcb_c) for b in reading.boards]
            return self._wrap(9, f"{len(rows)} ASC(s)", "DEVS", rows)
        head = version_section(device, miner=self._miner, type_name=self._type_name)
        body = stats_section(device, reading, first_board=self._first_board, first_fan=self._first_fan)
        return self._wrap(70, "BMMiner stats", "STATS", [head, body])

    def _wrap(self, code: int, message: str, name: str, rows: list[Answer]) -> Answer:
        head = status(self._device, code, message, description=self._description)
        return {"STATUS": [head], name: rows, "id": 1}


def _dev_row(slot: int, rate_ths: float, temp_c: int) -> Answer:
    return {
        "ASC": slot,
        "Name": "BTM",
        "ID": slot,
        "Enabled": "Y",
        "Status": "Alive",
        "Temperature": float(temp_c),
        "MHS 5s": round(rate_ths * 1e6, 2),
        "MHS av": round(rate_ths * 1e6, 2),
    }
