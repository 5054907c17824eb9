"""Room on the disk that is kept back, so that deleting still works when somebody else has filled it.

SQLite needs a little space even to delete: it writes the change to its log first. A file of real bytes beside the
database holds that space; it is given up when the disk is full and taken again when there is plenty.
"""

import os
from contextlib import suppress
from pathlib import Path
from typing import Final

PLENTY_FACTOR: Final = 4
"""The file is taken again only when this many times its size is free, so that it is not what fills the disk."""
OPENING_BYTES: Final = 1024 * 1024


class Headroom:
    """The file that keeps `size_bytes` back beside `path`."""

    def __init__(self, path: Path, size_bytes: int) -> None:
        self._file = path.with_name(path.name + ".headroom")
        self._size_bytes = size_bytes

    @property
    def held(self) -> bool:
        """Whether the space is kept back now."""
        return self._file.exists()

    def is_tight(self) -> bool:
        """Whether the space was given up and the disk has no more than that left: then nothing may grow."""
        if self._size_bytes == 0 or self.held:
            return False
        return self._free_bytes() < self._size_bytes

    def take(self) -> bool:
        """Keep the space back if the disk has plenty; tells whether it is held now."""
        if self._size_bytes == 0:
            return False
        if self.held:
            return True
        # Without room, or on a read-only disk, the agent works on without headroom.
        with suppress(OSError):
            if self._free_bytes() >= PLENTY_FACTOR * self._size_bytes:
                self._allocate()
        return self.held

    def give_up(self) -> bool:
        """Free the space; tells whether there was any."""
        if not self.held:
            return False
        with suppress(OSError):
            self._file.unlink()
        return not self.held

    def make_room(self) -> None:
        """Give the space up when the disk is too full even to open a database: each needs a log and its index."""
        with suppress(OSError):
            if self._free_bytes() < OPENING_BYTES:
                self.give_up()

    def _free_bytes(self) -> int:
        disk = os.statvfs(self._file.parent)
        return disk.f_bavail * disk.f_frsize

    def _allocate(self) -> None:
        with self._file.open("wb") as file:
            try:
                os.posix_fallocate(file.fileno(), 0, self._size_bytes)
            except OSError:
                self._file.unlink()
                raise
