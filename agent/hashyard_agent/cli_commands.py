"""`led`, `reboot` and `doctor`: what a technician does to miners, and what may be wrong with this machine."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from ipaddress import IPv4Address
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from hashyard_agent.errors import AgentError, MinerError, SettingsError
from hashyard_agent.settings import config_path, load
from hashyard_shared.clock import SystemClock
from hashyard_shared.ids import MalformedIdError

if TYPE_CHECKING:  # loaded where they are used: `--help` must not wait for them
    from hashyard_agent.adapters.host_checks import Finding
    from hashyard_agent.commands import CommandConfig, MinerCommands, Outcome
    from hashyard_agent.fleet import Fleet
    from hashyard_agent.ports import Identity

EXIT_NOT_DONE: Final = 1
EXIT_BAD: Final = 1
LED_WAIT_S: Final = 60.0
REBOOT_WAIT_S: Final = 480.0

app = typer.Typer(pretty_exceptions_enable=False)

ConfigOption = Annotated[
    Path | None, typer.Option("--config", "-c", help="The settings file; /etc/hashyard/agent.toml by default.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="One JSON document instead of text.")]
Miners = Annotated[list[str], typer.Argument(help="IP or MAC address of each miner.")]
PerMinuteOption = Annotated[
    float, typer.Option("--per-minute", min=0.1, max=600, help="At most so many restarts.")
]


@app.command()
def led(
    state: Annotated[str, typer.Argument(help="on or off.")],
    miners: Miners,
    config: ConfigOption = None,
) -> None:
    """Switch the locating light of miners, and see that it did."""
    from hashyard_agent.commands import CommandConfig  # noqa: PLC0415 - see above

    if state not in {"on", "off"}:
        raise SettingsError(f"led: {state!r} is neither on nor off; write: hashyard-agent led on ADDRESS")

    if _by_agent(miners, config, "led", LED_WAIT_S, on=state == "on"):
        return

    async def lights(commands: "MinerCommands", found: Sequence["Identity"]) -> "list[Outcome]":
        return await commands.lights(found, on=state == "on", told=_tell)

    _finish(asyncio.run(_command(miners, config, CommandConfig(), lights)))


@app.command()
def reboot(
    miners: Miners,
    per_minute: PerMinuteOption = 10,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    config: ConfigOption = None,
) -> None:
    """Restart miners, paced, and wait until each was seen restarted. Mining stops meanwhile."""
    from hashyard_agent.commands import CommandConfig  # noqa: PLC0415 - see above

    if not yes:
        typer.confirm(f"Restart {len(miners)} miner(s), at most {per_minute:g} a minute?", abort=True)

    settings = load(config) if _has_settings(config) else None
    pace = min(per_minute, settings.enforcement.units_per_minute) if settings else per_minute
    if _by_agent(miners, config, "reboot", REBOOT_WAIT_S + 60 * len(miners) / pace):
        return

    async def restart(commands: "MinerCommands", found: Sequence["Identity"]) -> "list[Outcome]":
        return await commands.reboot(found, told=_tell)

    _finish(asyncio.run(_command(miners, config, CommandConfig(reboots_per_minute=per_minute), restart)))


@app.command()
def doctor(config: ConfigOption = None, json_: JsonOption = False) -> None:
    """Look for what would hide miners or lose readings on this machine, and say what to do."""
    findings = _findings(config)
    if json_:
        rows = [
            {"level": each.level.value, "what": each.what, "detail": each.detail, "advice": each.advice}
            for each in findings
        ]
        typer.echo(json.dumps(rows))
    else:
        for each in findings:
            typer.echo(f"{each.level.value.upper():<8} {each.what}: {each.detail}")
            if each.advice:
                typer.echo(f"         {each.advice}")
    if any(each.level.value == "bad" for each in findings):
        raise typer.Exit(EXIT_BAD)


async def _command(
    names: Sequence[str],
    config: Path | None,
    pace: "CommandConfig",
    work: Callable[["MinerCommands", Sequence["Identity"]], Awaitable["list[Outcome]"]],
) -> tuple["list[Outcome]", list[str]]:
    """Identify the miners that are meant and do the work; returns outcomes, and what was not recognised."""
    from hashyard_agent import miner_parts  # noqa: PLC0415 - see above

    settings = load(config) if _has_settings(config) else None
    parts = miner_parts.build(
        SystemClock(),
        credentials_file=settings.credentials.file if settings else None,
        profile_folder=settings.site.profiles if settings else None,
        fleet_file=settings.store.fleet_file if settings else None,
    )
    addresses = [_address(name, parts.fleet) for name in dict.fromkeys(names)]
    problems: list[str] = []
    found: list[Identity] = []

    async def identify(ip: str) -> None:
        try:
            identity = await parts.driver.identify(ip)
        except MinerError as error:
            problems.append(str(error))
            return
        if identity.family:
            found.append(identity)
        else:
            problems.append(f"{ip}: no firmware profile fits what answers here")

    try:
        await asyncio.gather(*(identify(ip) for ip in addresses))
        return await work(parts.commands(pace), found), problems
    finally:
        await parts.close()


def _has_settings(config: Path | None) -> bool:
    return config is not None or config_path(None).exists()


def _by_agent(miners: Sequence[str], config: Path | None, kind: str, wait_s: float, **arguments: bool) -> bool:
    """Let the running agent do it, at its own pace, for it alone knows who is talking to a miner now."""
    from hashyard_agent.adapters.fleet_file import FleetFile  # noqa: PLC0415 - see above
    from hashyard_agent.cli_hand import by_agent  # noqa: PLC0415 - see above
    from hashyard_agent.fleet import Fleet  # noqa: PLC0415 - see above

    if not _has_settings(config):
        return False
    settings = load(config)
    fleet = Fleet(FleetFile(settings.store.fleet_file).load())
    commands = [{"ip": _address(name, fleet)} | arguments for name in dict.fromkeys(miners)]
    undone: list[str] = []

    def told(ip: str, text: str) -> None:
        result = json.loads(text) if text else {"done": False, "detail": "the agent did not end it in time"}
        typer.echo(f"{ip:<15} {'done' if result['done'] else 'NOT DONE'}  {result['detail']}")
        if not result["done"]:
            undone.append(ip)

    if not by_agent(settings, kind, commands, wait_s, told):
        return False
    if undone:
        raise typer.Exit(EXIT_NOT_DONE)
    return True


def _address(name: str, fleet: "Fleet") -> str:
    """The address that is meant by an IP or a MAC. Errors: `SettingsError`."""
    with suppress(ValueError):
        return str(IPv4Address(name))
    try:
        known = fleet.by_mac(name)
    except MalformedIdError:
        raise SettingsError(f"{name!r} is neither an IP nor a MAC address") from None
    if len(known) != 1 or not known[0].ip:
        raise SettingsError(f"{name}: this machine knows no one address of it; name the IP, or scan first")
    return known[0].ip


def _tell(outcome: "Outcome") -> None:
    typer.echo(f"{outcome.ip:<15} {'done' if outcome.done else 'NOT DONE'}  {outcome.detail}")


def _finish(result: tuple["list[Outcome]", list[str]]) -> None:
    outcomes, problems = result
    for problem in problems:
        typer.echo(problem, err=True)
    if problems or any(not outcome.done for outcome in outcomes):
        raise typer.Exit(EXIT_NOT_DONE)


def _findings(config: Path | None) -> "list[Finding]":
    from hashyard_agent.adapters import host_checks as host  # noqa: PLC0415 - see above
    from hashyard_agent.adapters.credentials import CredentialStore  # noqa: PLC0415 - see above
    from hashyard_profiles import ProfileError  # noqa: PLC0415 - see above
    from hashyard_profiles import load as load_profiles  # noqa: PLC0415 - see above

    findings = [host.check_descriptors(), host.check_clock(SystemClock())]
    try:
        settings = load(config)
    except AgentError as error:
        return [*findings, host.Finding(host.Level.BAD, "settings", str(error), "correct the file and look again")]
    findings.append(host.Finding(host.Level.GOOD, "settings", str(config_path(config))))
    networks = list(settings.site.subnets)
    if not networks:
        advice = "add the site's networks under [site] subnets"
        findings.append(host.Finding(host.Level.WARNING, "subnets", "none is set: nothing is swept", advice))
    findings += [host.check_neighbours(networks), *(host.check_route(network) for network in networks)]
    findings += [host.check_folder(settings.store.path), host.check_cloud(settings.cloud.url)]
    try:
        CredentialStore.from_file(settings.credentials.file)
        known = load_profiles(settings.site.profiles)
    except (AgentError, ProfileError) as error:
        return [*findings, host.Finding(host.Level.BAD, "files", str(error), "correct the file and look again")]
    own = f", {len(known.site_families)} of them this site's own" if known.site_families else ""
    findings.append(host.Finding(host.Level.GOOD, "firmware profiles", f"{len(known)} families{own}"))
    return findings
