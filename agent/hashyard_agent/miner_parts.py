"""The composition root of everything that talks to miners; `app.py` and the miner commands build it here.

Nothing in it opens a connection or imports pyasic before it is used.
"""

from dataclasses import dataclass
from pathlib import Path

from hashyard_agent.adapters.asic_rs_driver import AsicRsDriver, AsicRsWorker, installed
from hashyard_agent.adapters.connect_sweep import ConnectSweeper
from hashyard_agent.adapters.credentials import CredentialStore
from hashyard_agent.adapters.fast_reader import ProfileReader
from hashyard_agent.adapters.fingerprint import Fingerprinter
from hashyard_agent.adapters.fleet_file import FleetFile
from hashyard_agent.adapters.pyasic_driver import PyasicDriver
from hashyard_agent.adapters.two_drivers import TwoDrivers
from hashyard_agent.adapters.wire import HttpWire
from hashyard_agent.commands import CommandConfig, MinerCommands
from hashyard_agent.discovery import Discovery, DiscoveryConfig
from hashyard_agent.errors import SettingsError
from hashyard_agent.fleet import Fleet
from hashyard_agent.locks import MinerLocks
from hashyard_agent.polling import Poller, PollerConfig
from hashyard_agent.ports import MinerDriver, Outbox
from hashyard_profiles import ProfileError, Profiles, load
from hashyard_shared.clock import Clock


@dataclass(frozen=True, slots=True)
class MinerParts:
    """What the parts of the agent share about miners. Close it when done."""

    profiles: Profiles
    credentials: CredentialStore
    http: HttpWire
    reader: ProfileReader
    driver: MinerDriver
    worker: AsicRsWorker | None
    fleet: Fleet
    fleet_store: FleetFile | None
    locks: MinerLocks
    clock: Clock

    def discovery(self, config: DiscoveryConfig, outbox: Outbox | None = None) -> Discovery:
        """The use case that keeps the fleet true."""
        return Discovery(
            config,
            fleet=self.fleet,
            sweeper=ConnectSweeper(),
            driver=self.driver,
            reader=self.reader,
            profiles=self.profiles,
            outbox=outbox,
            locks=self.locks,
            clock=self.clock,
            store=self.fleet_store,
        )

    def poller(self, config: PollerConfig, outbox: Outbox, boot_id: str) -> Poller:
        """The use case that reads the fleet cycle after cycle."""
        return Poller(
            config,
            fleet=self.fleet,
            reader=self.reader,
            driver=self.driver,
            outbox=outbox,
            locks=self.locks,
            clock=self.clock,
            boot_id=boot_id,
        )

    def commands(self, config: CommandConfig) -> MinerCommands:
        """Lights and restarts."""
        return MinerCommands(
            config,
            driver=self.driver,
            reader=self.reader,
            identities=self.reader,
            profiles=self.profiles,
            locks=self.locks,
            clock=self.clock,
        )

    async def close(self) -> None:
        """Close what is open."""
        await self.http.close()
        if self.worker is not None:
            await self.worker.close()


def build(
    clock: Clock,
    *,
    credentials_file: Path | None = None,
    profile_folder: Path | None = None,
    fleet_file: Path | None = None,
) -> MinerParts:
    """Wire the parts. Errors: `SettingsError` for a wrong credentials or profile file, `StoreError`."""
    try:
        profiles = load(profile_folder)
    except ProfileError as error:
        raise SettingsError(f"firmware profile {error}") from error
    credentials = CredentialStore.from_file(credentials_file)
    http = HttpWire()
    reader = ProfileReader(profiles, http, credentials)
    fingerprinter = Fingerprinter(profiles, http)
    driver: MinerDriver = PyasicDriver(profiles, reader, fingerprinter)
    worker = AsicRsWorker(clock) if installed() else None
    if worker is not None:
        driver = TwoDrivers(profiles, driver, AsicRsDriver(profiles, reader, fingerprinter, worker))
    store = None if fleet_file is None else FleetFile(fleet_file)
    return MinerParts(
        profiles=profiles,
        credentials=credentials,
        http=http,
        reader=reader,
        driver=driver,
        worker=worker,
        fleet=Fleet(() if store is None else store.load()),
        fleet_store=store,
        locks=MinerLocks(),
        clock=clock,
    )
