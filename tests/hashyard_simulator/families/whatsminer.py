"""What both generations of the Whatsminer API show."""

from typing import Any

from hashyard_simulator.device import Device, Reading
from hashyard_simulator.http import Request, Response, text_response

POWER_MODES = {"Low": 0.8, "Normal": 1.0, "High": 1.1}
"""Power mode to its share of the nameplate."""


class RedirectingWeb:
    """Port 80: everything is elsewhere, behind TLS."""

    def __init__(self, device: Device) -> None:
        self.device = device

    def is_write(self, request: Request) -> bool:
        return False

    def refusal(self, request: Request) -> Response:
        return text_response("Forbidden", 403)

    def respond(self, request: Request) -> Response:
        response = text_response("", 307)
        response.headers["Location"] = f"https://{self.device.identity.ip}{request.path}"
        return response


class LuciWeb:
    """Port 443: the entrance of the router software that the firmware is built on."""

    def __init__(self, device: Device) -> None:
        self.device = device

    def is_write(self, request: Request) -> bool:
        return request.method == "POST"

    def refusal(self, request: Request) -> Response:
        return text_response("Forbidden", 403)

    def respond(self, request: Request) -> Response:
        if request.path == "/":
            return text_response(
                '<html><head><meta http-equiv="refresh" content="0; URL=/cgi-bin/luci" /></head>'
                '<body><a href="/cgi-bin/luci">LuCI - Lua Configuration Interface</a></body></html>'
            )
        if request.path.startswith("/cgi-bin/luci"):
            return text_response("<html><body><form>Authorization Required</form></body></html>", 403)
        return text_response("Not Found", 404)


def summary_section(device: Device, reading: Reading) -> dict[str, Any]:
    """Rates in MH/s; old and new names side by side as firmwares of the transition have them."""
    now_mhs = round(reading.hashrate_ths * 1e6, 2)
    average_mhs = round(reading.average_ths * 1e6, 2)
    chip_temps = [b.temp_chip_c for b in reading.boards]
    return {
        "Elapsed": reading.uptime_s,
        "MHS av": average_mhs,
        "MHS 5s": now_mhs,
        "MHS 1m": now_mhs,
        "MHS 5m": average_mhs,
        "MHS 15m": average_mhs,
        "HS RT": now_mhs,
        "Accepted": sum(p.accepted for p in device.pools),
        "Rejected": sum(p.rejected for p in device.pools),
        "Total MH": average_mhs * reading.uptime_s,
        "Temperature": float(max(b.temp_pcb_c for b in reading.boards)),
        "freq_avg": 600,
        "Fan Speed In": reading.fans_rpm[0],
        "Fan Speed Out": reading.fans_rpm[1],
        "Power": reading.power_w,
        "Power Rate": round(reading.power_w / reading.hashrate_ths, 2) if reading.hashrate_ths else 0.0,
        "Pool Rejected%": 0.4,
        "Pool Stale%": 0.2,
        "Last getwork": 0,
        "Uptime": reading.uptime_s + 60,
        "Security Mode": 0,
        "Hash Stable": True,
        "Target Freq": 600,
        "Target MHS": round(device.model.hashrate_ths * 1e6),
        "Env Temp": float(reading.env_temp_c),
        "Power Mode": device.settings["power_mode"],
        "Factory GHS": round(device.model.hashrate_ths * 1000),
        "Power Limit": device.settings["power_limit_w"],
        "Chip Temp Min": float(min(chip_temps)),
        "Chip Temp Max": float(max(chip_temps)),
        "Chip Temp Avg": sum(chip_temps) / len(chip_temps),
        "Error Code Count": 0,
        "Debug": "",
        "Btminer Fast Boot": device.settings["fast_boot"],
        "Upfreq Complete": 1,
    }


def devs_rows(device: Device, reading: Reading) -> list[dict[str, Any]]:
    rows = []
    for board in reading.boards:
        mhs = round(board.hashrate_ths * 1e6, 2)
        rows.append(
            {
                "ASC": board.slot,
                "Slot": board.slot,
                "Enabled": "Y",
                "Status": "Alive",
                "Temperature": float(board.temp_pcb_c),
                "Chip Frequency": 600,
                "Fan Speed In": reading.fans_rpm[0],
                "Fan Speed Out": reading.fans_rpm[1],
                "MHS av": mhs,
                "MHS 5s": mhs,
                "MHS 1m": mhs,
                "MHS 5m": mhs,
                "MHS 15m": mhs,
                "HS RT": mhs,
                "Factory GHS": round(device.model.hashrate_ths * 1000 / len(reading.boards)),
                "Upfreq Complete": 1,
                "Effective Chips": board.chips,
                "PCB SN": board.serial,
                "Chip Temp Min": float(board.temp_chip_c - 3),
                "Chip Temp Max": float(board.temp_chip_c + 3),
                "Chip Temp Avg": float(board.temp_chip_c),
                "chip_vol_diff": 9,
            }
        )
    return rows
