"""The whole true state of a device, for tests and demos to compare with what was read or done."""

from typing import Any

from hashyard_simulator.device import Device, Pool


def short(device: Device) -> dict[str, Any]:
    return {
        "id": f"{device.site}/{device.identity.serial}",
        "site": device.site,
        "family": device.family,
        "ip": device.identity.ip,
        "mac": device.identity.mac,
    }


def full(device: Device) -> dict[str, Any]:
    """Everything, as JSON. Temperatures in degrees Celsius, rates in TH/s; nothing here is bent by faults.

    `mined` adds up since the start and outlives restarts and writes: every pool and worker it ever mined for.
    """
    device.settle()
    reading = device.reading(reported=False)
    return {
        **short(device),
        "serial": device.identity.serial,
        "hostname": device.identity.hostname,
        "model": device.model.name,
        "model_label": device.model.label,
        "firmware": device.model.firmware,
        "nameplate": {"hashrate_ths": device.model.hashrate_ths, "power_w": device.model.power_w},
        "account": device.account,
        "password": device.effective_password(),
        "pools": pools(device, device.pools),
        "staged_pools": None if device.staged_pools is None else pools(device, device.staged_pools),
        "active_pool": _active_url(device),
        "mined": [
            {"url": url, "user": user, "seconds": mined.seconds, "work_ths_s": mined.work_ths_s}
            for (url, user), mined in device.mined.items()
        ],
        "hashrate_ths": reading.hashrate_ths,
        "boards": [
            {
                "slot": b.slot,
                "hashrate_ths": b.hashrate_ths,
                "chips": b.chips,
                "temp_pcb_c": b.temp_pcb_c,
                "temp_chip_c": b.temp_chip_c,
                "serial": b.serial,
            }
            for b in reading.boards
        ],
        "fans_rpm": list(reading.fans_rpm),
        "power_w": reading.power_w,
        "uptime_s": reading.uptime_s,
        "settings": dict(device.settings),
        "asleep": device.asleep,
        "dead": device.dead,
        "restarting": device.restarting,
        "restart_count": device.restart_count,
        "faults": device.faults.describe(device.clock.monotonic_s()),
        "counters": {
            "connections": device.counters.connections,
            "requests": device.counters.requests,
            "writes": device.counters.writes,
            "denied": device.counters.denied,
        },
        "write_log": list(device.write_log),
    }


def pools(device: Device, chosen: list[Pool]) -> list[dict[str, Any]]:
    """`chosen` as JSON; `staged_pools` are those that only the next restart puts to use."""
    active = device.active_pool()
    return [
        {
            "url": p.url,
            "user": p.user,
            "password": p.password,
            "group": p.group,
            "priority": p.priority,
            "active": p is active,
            "alive": device.world.alive(p.url),
            "accepted": p.accepted,
            "rejected": p.rejected,
            "stale": p.stale,
        }
        for p in chosen
    ]


def _active_url(device: Device) -> str | None:
    active = device.active_pool()
    return None if active is None else active.url
