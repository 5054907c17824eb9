"""Set a checkout up: virtual environment, pinned packages, web assets. Standard library only.

Run by `make setup`; safe to run again: what is up to date is left alone. Each step shows a progress bar and,
when it fails, what to do. The log of everything that was run is in `.venv/setup.log`.
"""

import hashlib
import json
import re
import shutil
import subprocess
import sys
import venv
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
LOCK = ROOT / "requirements.lock"
LOG = VENV / "setup.log"
STAMP = VENV / "setup.json"
MINIMUM_PYTHON = (3, 11)
MINIMUM_NODE_MAJOR = 18
WEB = "cloud/hashyard_cloud/web"
BAR_CHARS = 28
PIP_PROGRESS = r"(Collecting|Downloading|Using cached|Requirement already satisfied:)\s+(\S+)"


class SetupError(Exception):
    """A step failed; the message says what to do."""


class Bar:
    """One line of progress: redrawn on a terminal, a line per step elsewhere."""

    def __init__(self, title: str, total: int) -> None:
        self.title, self.total, self.done = title, max(total, 1), 0
        self.live = sys.stderr.isatty()
        self.draw()

    def draw(self, note: str = "") -> None:
        if not self.live:
            return
        filled = min(BAR_CHARS, BAR_CHARS * self.done // self.total)
        bar = "█" * filled + "░" * (BAR_CHARS - filled)
        sys.stderr.write(f"\r\033[K  {self.title:<22} {bar} {note[:40]}")
        sys.stderr.flush()

    def step(self, note: str = "") -> None:
        self.done = min(self.total, self.done + 1)
        self.draw(note)

    def end(self, note: str) -> None:
        self.done = self.total
        if self.live:
            self.draw(note)
            sys.stderr.write("\n")
        else:
            sys.stderr.write(f"  {self.title:<22} {note}\n")


def run(command: list[str], on_line: Callable[[str], None], what_to_do: str) -> None:
    """Run a command, hand each line of its output on, keep all of it in the log."""
    with (
        LOG.open("a", encoding="utf-8") as log,
        subprocess.Popen(  # noqa: S603 - fixed commands of this file
            command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        ) as process,
    ):
        log.write(f"$ {' '.join(command)}\n")
        tail: list[str] = []
        for line in process.stdout or ():
            log.write(line)
            tail = [*tail[-7:], line.rstrip()]
            on_line(line)
    if process.returncode:
        raise SetupError("\n    ".join([f"{command[0]} ended with {process.returncode}:", *tail, what_to_do]))


def digest(*paths: Path) -> str:
    """What a step depends on, as one hash."""
    seen = hashlib.sha256()
    for path in paths:
        seen.update(path.read_bytes())
    return seen.hexdigest()


def make_venv() -> None:
    bar = Bar("virtual environment", 1)
    if not PYTHON.exists():
        try:
            venv.EnvBuilder(with_pip=True).create(VENV)
        except (OSError, subprocess.CalledProcessError) as error:
            raise SetupError(f"cannot make {VENV.name}: {error}. Debian: apt-get install python3-venv") from error
    bar.end(f"Python {sys.version_info.major}.{sys.version_info.minor}")


def install_packages() -> None:
    names = set(re.findall(r"^([A-Za-z0-9_.-]+)==", LOCK.read_text(encoding="utf-8"), re.MULTILINE))
    bar = Bar("Python packages", 2 * len(names))

    def on_line(line: str) -> None:
        found = re.match(
            r"(Collecting|Downloading|Using cached|Requirement already satisfied:)\s+(\S+)", line.strip()
        )
        if found:
            bar.step(found[2])

    pip = [str(PYTHON), "-m", "pip", "--disable-pip-version-check"]
    run(
        [*pip, "install", "--require-hashes", "--no-deps", "-r", str(LOCK)],
        on_line,
        "The package index must be reachable once; then run this again.",
    )
    run(
        [*pip, "install", "--no-deps", "--no-build-isolation", "-e", "."],
        on_line,
        "Look at the lines above; the project itself did not install.",
    )
    bar.end(f"{len(names)} pinned")


def node_command() -> str:
    """The path of npm, or a `SetupError` that says what is missing."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        raise SetupError(
            f"Node.js {MINIMUM_NODE_MAJOR} or later with npm is needed for the web assets. "
            "Debian: apt-get install nodejs npm"
        )
    version = subprocess.run([node, "--version"], capture_output=True, text=True, check=True).stdout  # noqa: S603 - found on PATH
    if int(version.lstrip("v").split(".")[0]) < MINIMUM_NODE_MAJOR:
        raise SetupError(f"Node.js {version.strip()} is too old: {MINIMUM_NODE_MAJOR} or later is needed.")
    return npm


def install_assets() -> None:
    npm = node_command()
    bar = Bar("web assets", 2)
    bar.draw("npm ci")
    run(
        [npm, "ci", "--no-audit", "--no-fund", "--ignore-scripts"],
        lambda _line: None,
        "The npm registry must be reachable once; then run this again.",
    )
    bar.step("copying")
    run(
        [str(PYTHON), "-m", "hashyard_cloud.web.assets"],
        lambda _line: None,
        "The assets could not be copied; see above.",
    )
    bar.end("in place")


def main() -> int:
    if sys.version_info < MINIMUM_PYTHON:
        sys.stderr.write(f"Python 3.11 or later is needed; this is {sys.version.split()[0]}.\n")
        return 1
    steps: list[tuple[str, tuple[Path, ...], Callable[[], None]]] = [
        ("packages", (LOCK, ROOT / "pyproject.toml"), install_packages),
        (
            "assets",
            tuple(ROOT / name for name in ("package-lock.json", f"{WEB}/assets.py", f"{WEB}/icons.txt")),
            install_assets,
        ),
    ]
    try:
        VENV.mkdir(exist_ok=True)
        if not PYTHON.exists():
            make_venv()
        done = json.loads(STAMP.read_text(encoding="utf-8")) if STAMP.exists() else {}
        for name, inputs, step in steps:
            now = digest(*inputs)
            if done.get(name) != now:
                step()
                done[name] = now
                STAMP.write_text(json.dumps(done), encoding="utf-8")
    except (SetupError, OSError) as error:
        sys.stderr.write(f"\nSet-up stopped: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
