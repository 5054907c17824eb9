"""Facts of the machine that the agent runs on."""

from pathlib import Path
from typing import Final
from uuid import uuid4

_BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")


def boot_id() -> str:
    """What names this boot of the machine; monotonic times compare within one only.

    Where the system does not tell it, each start of the agent counts as a boot: less is known, nothing is wrong.
    """
    try:
        return _BOOT_ID.read_text(encoding="ascii").strip()
    except OSError:
        return str(uuid4())
