"""What a miner keeps without power: pools, settings, password. Written at the stop, read at the next start."""

import json
from pathlib import Path
from typing import Any

from hashyard_simulator.device import Device, Pool
from hashyard_simulator.farm import Farm


def save(farm: Farm, path: Path) -> None:
    """Write every device's memory; the old file stays whole until the new one is."""
    whole = {device.identity.ip: _kept(device) for device in farm.devices}
    draft = path.with_suffix(".new")
    draft.write_text(json.dumps(whole), encoding="utf-8")
    draft.replace(path)


def load(farm: Farm, path: Path) -> int:
    """Give devices back what they kept; returns to how many. A device that is new has nothing to read."""
    if not path.exists():
        return 0
    whole = json.loads(path.read_text(encoding="utf-8"))
    known = [device for device in farm.devices if device.identity.ip in whole]
    for device in known:
        _recall(device, whole[device.identity.ip])
    return len(known)


def _kept(device: Device) -> dict[str, Any]:
    pools = device.pools if device.staged_pools is None else device.staged_pools
    return {
        "serial": device.identity.serial,
        "settings": dict(device.settings),
        "password": device.password,
        "pools": [
            {"url": p.url, "user": p.user, "password": p.password, "group": p.group, "enabled": p.enabled}
            for p in pools
        ],
    }


def _recall(device: Device, kept: dict[str, Any]) -> None:
    if kept["serial"] != device.identity.serial:
        return
    device.settings.clear()
    device.settings.update(kept["settings"])
    device.password = kept["password"]
    device.replace_pools([Pool(**pool) for pool in kept["pools"]])
