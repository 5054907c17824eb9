"""Simulated miners, one agent and one cloud as real processes, with a network and a disk that can fail."""

import asyncio
import json
import os
import random
import re
import shutil
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Final

from bench.outbox.run_outbox_bytes import START_US, cycle_of, fleet, roster_of
from chaos import oracle
from chaos.network import Network
from hashyard_agent.adapters.outbox import SqliteOutbox
from hashyard_cloud.adapters.secret_box import AesSecretBox
from hashyard_cloud.app import open_database
from hashyard_cloud.services import sites
from hashyard_cloud.services.ports.activity import Actor
from hashyard_cloud.services.signing_keys import SigningKeys
from hashyard_cloud.settings import load as load_cloud
from hashyard_demo.processes import ProcessEndedError, Program, run, wait_until
from hashyard_shared import cycle_codec
from hashyard_shared.clock import SystemClock
from hashyard_shared.codec import encode
from hashyard_shared.protocol import BatchKind

SITE: Final = "North"
PASSWORD: Final = "correct horse battery staple"
READY_TIMEOUT_S: Final = 60
DISK_MEGABYTES: Final = 24
FAKETIME: Final = next(iter(sorted(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))), None)
HALF_A_MIGRATION: Final = """
import sys
from pathlib import Path
from hashyard_agent.adapters.outbox_schema import MIGRATIONS
from hashyard_agent.adapters.store import open_database

@MIGRATIONS()
def m9999_half(database):
    database.execute("CREATE TABLE half AS SELECT * FROM outbox LIMIT 50")
    database.execute("DELETE FROM outbox WHERE seq % 2 = 0")
    print("half", flush=True)
    sys.stdin.read()

open_database(Path(sys.argv[1]), MIGRATIONS)
"""
"""The next version's step, as far as its middle; whoever kills it there must find everything as it was."""
BLOCK_BYTES: Final = 64 * 1024
BACKLOG_MINERS: Final = 50


def _program(name: str) -> str:
    """The console script beside this Python."""
    return str(Path(sys.executable).with_name(name))


def free_port() -> int:
    """A port nobody uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class World:
    """Everything in one folder. `subnet` is a /24 of loopback addresses for the miners."""

    def __init__(self, folder: Path, *, seed: int, miners: int, subnet: str) -> None:
        self.folder = folder
        self.miners = miners
        self.subnet = subnet
        self.cloud_port = free_port()
        self.network = Network(self.cloud_port, seed)
        self.data = folder / "data"
        self.cloud_data = folder / "cloud"
        self.agent: Program | None = None
        self.cloud: Program | None = None
        self.small_disk = False
        self.clock_moves = FAKETIME is not None
        self._clock_file = folder / "clock"
        self._chance = random.Random(seed)
        self._backlog_fleet = fleet(BACKLOG_MINERS, self._chance)
        self._backlog_number = 0

    @property
    def outbox(self) -> Path:
        """The agent's database."""
        return self.data / "outbox.db"

    @property
    def agent_config(self) -> Path:
        """The agent's settings."""
        return self.folder / "agent.toml"

    @contextmanager
    def running(self) -> Iterator["World"]:
        """Set up, enrol, start everything; stop whatever runs in the end."""
        with ExitStack() as stack:
            self._mount(stack)
            stack.enter_context(self.network)
            stack.callback(self.stop_all)
            self.set_clock(0)
            self._write_settings()
            self._create_host()
            simulator = self._simulator()
            stack.callback(simulator.stop)
            self.start_cloud(wait=True)
            self.enrol()
            oracle.install(self.outbox)
            self.start_agent()
            wait_until(lambda: self.acknowledged() > 0, "the first cycle is kept", READY_TIMEOUT_S)
            yield self

    @contextmanager
    def cloud_only(self) -> Iterator["World"]:
        """An enrolled agent that does not run, and a cloud that does."""
        with ExitStack() as stack:
            self.data.mkdir(parents=True)
            stack.enter_context(self.network)
            stack.callback(self.stop_all)
            self._write_settings()
            self._create_host()
            self.start_cloud(wait=True)
            self.enrol()
            yield self

    # -- set-up --------------------------------------------------------------------------------------------

    def _mount(self, stack: ExitStack) -> None:
        """A small disk of its own for the agent, where this process may mount one."""
        self.data.mkdir(parents=True)
        command = ["mount", "-t", "tmpfs", "-o", f"size={DISK_MEGABYTES}m", "tmpfs", str(self.data)]
        self.small_disk = os.geteuid() == 0 and subprocess.run(command, check=False).returncode == 0
        if self.small_disk:
            stack.callback(subprocess.run, ["umount", "--lazy", str(self.data)], check=False)

    def _write_settings(self) -> None:
        (self.folder / "cloud.toml").write_text(
            f'host = "127.0.0.1"\nport = {self.cloud_port}\ndata_dir = "{self.cloud_data}"\n', encoding="utf-8"
        )
        (self.folder / "password").write_text(PASSWORD, encoding="utf-8")
        self.agent_config.write_text(
            f'name = "chaos-01"\n[cloud]\nurl = "{self.network.url}"\ntimeout_s = 10\n'
            f'[site]\nsubnets = ["{self.subnet}"]\n'
            f'[store]\npath = "{self.data}"\nmax_bytes = 12_000_000\nheadroom_bytes = 3_000_000\n'
            "[polling]\ninterval_s = 1\ndiscovery_interval_s = 3600\ntimeout_s = 0.5\n"
            f"[local_web]\nenabled = false\n"
            f'[enforcement]\ntrust_file = "{self.folder / "trust.json"}"\n',
            encoding="utf-8",
        )

    def _create_host(self) -> None:
        config = self.folder / "cloud.toml"
        self._cloud_command(
            "create-host", "Chaos", "--email", "a@example.com", "--password-file", str(self.folder / "password")
        )
        asyncio.run(_add_site(config, self.organisation_id()))

    async def rotate_signing_key(self) -> None:
        """The organisation's next key becomes the current one. The cloud may be running."""
        settings = load_cloud(self.folder / "cloud.toml")
        database = await open_database(settings)
        keys = SigningKeys(AesSecretBox.from_file(settings.master_key_path), SystemClock())
        try:
            async with database.transaction() as tx:
                await keys.rotate(tx, self.organisation_id(), Actor(user_id="chaos", name="chaos"))
        finally:
            await database.close()

    def organisation_id(self) -> str:
        """The one host's id."""
        with closing_connection(self.cloud_data / "hashyard.sqlite3") as connection:
            return str(connection.execute("SELECT organisation_id FROM organisations").fetchone()[0])

    def _cloud_command(self, *arguments: str) -> str:
        config = str(self.folder / "cloud.toml")
        return run([_program("hashyard-cloud"), *arguments, "--config", config], {})

    def enrol(self) -> None:
        """Enrol the agent's machine, for the first time or again."""
        code = re.search(r"HY1-[A-Z0-9-]+", self._cloud_command("enroll-code", SITE))
        if code is None:
            raise ProcessEndedError("enroll-code gave no code")
        run([*self._agent_program(), "enroll", "--code", code[0], "--yes", "--config", str(self.agent_config)], {})

    def _simulator(self) -> Program:
        site = f"name=north,subnet={self.subnet},luxos={self.miners}"
        command = [sys.executable, "-m", "hashyard_simulator", "--site", site, "--share-seconds", "2"]
        program = Program("simulator", command, self.folder / "logs" / "simulator.log", {})
        program.start(read_stdout=True)
        json.loads(program.read_line())
        return program

    # -- programs ------------------------------------------------------------------------------------------

    def start_cloud(self, *, wait: bool = False) -> None:
        """Start the cloud on its port."""
        command = [
            *(_program("hashyard-cloud"), "serve", "--agents-only"),
            *("--config", str(self.folder / "cloud.toml")),
        ]
        self.cloud = Program("cloud", command, self.folder / "logs" / "cloud.log", {})
        self.cloud.start()
        if wait:
            wait_until(self.cloud_answers, "the cloud answers", READY_TIMEOUT_S, [self.cloud])

    def cloud_answers(self) -> bool:
        """Whether the cloud's port takes connections."""
        with suppress(OSError), socket.create_connection(("127.0.0.1", self.cloud_port), timeout=1):
            return True
        return False

    def start_agent(self) -> None:
        """Start the agent, under the clock that can be moved where that is possible."""
        environment = {}
        if self.clock_moves:
            environment = {
                "LD_PRELOAD": str(FAKETIME),
                "FAKETIME_TIMESTAMP_FILE": str(self._clock_file),
                "FAKETIME_NO_CACHE": "1",
                "FAKETIME_DONT_FAKE_MONOTONIC": "1",
                "FAKETIME_DONT_RESET": "1",
            }
        command = [*self._agent_program(), "run", "--config", str(self.agent_config)]
        self.agent = Program("agent", command, self.folder / "logs" / "agent.log", environment)
        self.agent.start()

    def run_agent_to_its_end(self) -> int:
        """Start an agent that cannot run, and return its exit code."""
        command = [*self._agent_program(), "run", "--config", str(self.agent_config)]
        return subprocess.run(command, check=False, capture_output=True, timeout=READY_TIMEOUT_S).returncode

    def stop_all(self) -> None:
        """SIGTERM for both."""
        for program in (self.agent, self.cloud):
            if program is not None:
                program.stop()

    def _agent_program(self) -> list[str]:
        return [_program("hashyard-agent")]

    # -- faults --------------------------------------------------------------------------------------------

    def set_clock(self, offset_s: int) -> None:
        """Move the agent's wall clock; its monotonic clocks stay."""
        fresh = self._clock_file.with_suffix(".new")
        fresh.write_text(f"{offset_s:+d}s\n" if offset_s else "+0\n", encoding="ascii")
        fresh.replace(self._clock_file)

    def fill_disk(self) -> None:
        """Something else takes what is left of the disk."""
        with (self.data / "something-else").open("wb", buffering=0) as file:
            for block in (BLOCK_BYTES, 1024):
                with suppress(OSError):
                    while True:
                        file.write(b"x" * block)

    def free_disk(self) -> None:
        """Something else goes."""
        (self.data / "something-else").unlink(missing_ok=True)

    def remount(self, mode: str) -> None:
        """`ro` or `rw`; the agent must not be running."""
        subprocess.run(["mount", "-o", f"remount,{mode}", str(self.data)], check=True)

    def kill_in_migration(self) -> bool:
        """A newer version begins to change the outbox and is killed in the middle; no agent may be running."""
        command = [sys.executable, "-c", HALF_A_MIGRATION, str(self.outbox)]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
            reached = process.stdout is not None and process.stdout.readline().strip() == b"half"
            process.kill()
        return reached

    def skipped(self) -> list[str]:
        """What cannot be broken on this machine, and what to do about it."""
        why = []
        if not self.clock_moves:
            why.append("clock jumps: libfaketime is not installed (Debian: apt-get install libfaketime)")
        if not self.small_disk:
            why.append("full and read-only disk: a tmpfs can only be mounted by root")
        return why

    def damage_a_row(self, pick: int) -> bool:
        """Overwrite the body of one telemetry row that waits; the agent must not be running."""
        with closing_connection(self.outbox) as connection, connection:
            rows = connection.execute(
                "SELECT seq FROM outbox WHERE kind = 'telemetry' AND body != x'0102030405'"
            ).fetchall()
            if not rows:
                return False
            seq = rows[pick % len(rows)][0]
            connection.execute("UPDATE outbox SET body = x'0102030405' WHERE seq = ?", [seq])
            return True

    def add_backlog(self, cycles: int) -> None:
        """As if the site had been cut off: cycles of other miners in the outbox; the agent must not be running."""
        outbox = SqliteOutbox(self.outbox, max_bytes=12_000_000, headroom_bytes=0, clock=SystemClock())
        roster = roster_of(BACKLOG_MINERS)
        try:
            if not self._backlog_number:
                outbox.put(BatchKind.ROSTER, START_US, BACKLOG_MINERS, encode(roster))
            for _ in range(cycles):
                cycle = cycle_of(self._backlog_fleet, self._backlog_number, roster.roster_id(), self._chance)
                outbox.put(BatchKind.TELEMETRY, cycle.cycle_at_us, BACKLOG_MINERS, cycle_codec.pack(cycle))
                self._backlog_number += 1
        finally:
            outbox.close()

    # -- looking -------------------------------------------------------------------------------------------

    def acknowledged(self) -> int:
        """How many telemetry rows the agent ever committed."""
        return self._count("SELECT COUNT(*) FROM acknowledged WHERE kind = 'telemetry'")

    def waiting(self) -> int:
        """Rows still in the outbox, and gaps not told yet."""
        return self._count("SELECT (SELECT COUNT(*) FROM outbox) + (SELECT COUNT(*) FROM gaps WHERE reported = 0)")

    def unprojected(self) -> int:
        """Batches that the cloud has not worked through."""
        with closing_connection(self.cloud_data / "hashyard.sqlite3") as connection:
            sql = "SELECT COUNT(*) FROM batches WHERE state < 3"
            return int(connection.execute(sql).fetchone()[0])

    def _count(self, sql: str) -> int:
        with closing_connection(self.outbox) as connection:
            return int(connection.execute(sql).fetchone()[0])

    def keep_logs(self, folder: Path) -> None:
        """Copy the logs away, for whoever looks into a failure."""
        if (self.folder / "logs").exists():
            shutil.copytree(self.folder / "logs", folder, dirs_exist_ok=True)


@contextmanager
def closing_connection(path: Path) -> Iterator[sqlite3.Connection]:
    """A connection that is closed, which sqlite3's own context manager does not do."""
    connection = sqlite3.connect(path, timeout=30)
    try:
        yield connection
    finally:
        connection.close()


async def _add_site(config: Path, organisation_id: str) -> None:
    database = await open_database(load_cloud(config))
    actor = Actor(user_id="chaos", name="chaos")
    given = sites.SiteInput(name=SITE, timezone="UTC", poll_interval_s=1)
    try:
        await sites.add(database, SystemClock(), organisation_id, actor, given)
    finally:
        await database.close()
