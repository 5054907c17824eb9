"""Writing small files so that a crash leaves the old content or the new one, never half of either."""

import os
from pathlib import Path

from hashyard_agent.adapters.store import explained


def write_durably(path: Path, data: bytes, mode: int, *, keep_owner: bool = False) -> None:
    """Temporary file, fsync, rename, fsync of the folder. Errors: `StoreError` that names the file.

    When root writes into a folder that belongs to the agent's user, the file goes to that user, or stays root's
    with `keep_owner`.
    """
    with explained(path):
        path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        temporary = path.with_name(f".{path.name}.{os.getpid()}")
        handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
        try:
            with os.fdopen(handle, "wb") as file:
                os.fchmod(file.fileno(), mode)
                if not keep_owner:
                    _give_to_folder_owner(file.fileno(), path.parent)
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make a rename in this folder durable."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _give_to_folder_owner(handle: int, folder: Path) -> None:
    owner = folder.stat()
    if os.geteuid() == 0 and owner.st_uid != 0:
        os.fchown(handle, owner.st_uid, owner.st_gid)


def hand_over(folder: Path) -> None:
    """Give files that root made in the agent's folder to the folder's owner. Does nothing for other users."""
    with explained(folder):
        owner = folder.stat()
        if os.geteuid() != 0 or owner.st_uid == 0:
            return
        for file in folder.iterdir():
            if file.is_file() and not file.is_symlink():
                os.chown(file, owner.st_uid, owner.st_gid)
