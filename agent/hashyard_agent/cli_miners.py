"""`scan` and `profiles`: what a technician asks about the miners of a site."""

import asyncio
import json
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Self

import typer

from hashyard_agent.errors import SettingsError

if TYPE_CHECKING:  # loaded where they are used: `--help` must not wait for them
    from hashyard_agent.discovery import Progress, ScanResult
    from hashyard_agent.fleet import KnownMiner
    from hashyard_profiles import Profile

EXIT_NOTHING_FOUND: Final = 1
EXIT_USAGE: Final = 2
MAX_LISTED: Final = 20

app = typer.Typer(pretty_exceptions_enable=False)

ConfigOption = Annotated[
    Path | None, typer.Option("--config", "-c", help="The settings file; /etc/hashyard/agent.toml by default.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="One JSON document instead of text.")]


@app.command()
def scan(
    subnet: Annotated[
        list[str] | None,
        typer.Argument(help="What to sweep, like 192.168.1.0/24; the settings' subnets when not given."),
    ] = None,
    exclude: Annotated[list[str] | None, typer.Option(help="What to leave out.")] = None,
    config: ConfigOption = None,
    json_: JsonOption = False,
) -> None:
    """Sweep the site once and show which miners are there. Changes nothing."""
    subnets, excluded, credentials_file, folder = _where(subnet, exclude, config)
    result = asyncio.run(_scan(subnets, excluded, credentials_file, folder))
    if json_:
        typer.echo(json.dumps(_scan_document(result)))
    else:
        _show_scan(result, subnets)
    if result.addresses and result.unroutable == result.addresses:
        raise typer.Exit(EXIT_USAGE)
    if not result.miners:
        raise typer.Exit(EXIT_NOTHING_FOUND)


@app.command()
def profiles(
    family: Annotated[str | None, typer.Argument(help="Explain this family in full.")] = None,
    config: ConfigOption = None,
    json_: JsonOption = False,
) -> None:
    """The firmware families this agent knows, and what it may do with each."""
    from hashyard_profiles import ProfileError, load  # noqa: PLC0415 - see above

    try:
        known = load(_profile_folder(config))
    except ProfileError as error:
        raise SettingsError(f"firmware profile {error}") from error
    if family is not None and family not in known:
        raise SettingsError(f"there is no family {family!r}; there are {', '.join(known)}")
    if json_:
        chosen = known.values() if family is None else [known[family]]
        typer.echo(json.dumps([profile.model_dump(mode="json") for profile in chosen]))
    elif family is None:
        _list_profiles(list(known.values()), known.site_families)
    else:
        _explain_profile(known[family])


def _where(
    subnet: list[str] | None, exclude: list[str] | None, config: Path | None
) -> tuple[tuple[str, ...], tuple[str, ...], Path | None, Path | None]:
    """Subnets, exclusions, credentials file, profile folder; settings are needed only where nothing is given."""
    from hashyard_agent.settings import config_path, load  # noqa: PLC0415 - see above

    given = tuple(subnet or ())
    if given and config is None and not config_path(None).exists():
        return given, tuple(exclude or ()), None, None
    settings = load(config)
    subnets = given or tuple(str(network) for network in settings.site.subnets)
    if not subnets:
        raise SettingsError(
            "no subnet is given and the settings name none; call: hashyard-agent scan 192.168.1.0/24, or add "
            "it under [site] subnets"
        )
    excluded = (*(exclude or ()), *(str(network) for network in settings.site.exclude))
    return subnets, excluded, settings.credentials.file, settings.site.profiles


def _profile_folder(config: Path | None) -> Path | None:
    """The site's own profiles; without a settings file, those in the usual place."""
    from hashyard_agent.settings import SiteSettings, config_path, load  # noqa: PLC0415 - see above

    known = config is not None or config_path(None).exists()
    return load(config).site.profiles if known else SiteSettings().profiles


async def _scan(
    subnets: tuple[str, ...], exclude: tuple[str, ...], credentials_file: Path | None, folder: Path | None
) -> "ScanResult":
    from hashyard_agent import miner_parts  # noqa: PLC0415 - see above
    from hashyard_agent.discovery import DiscoveryConfig  # noqa: PLC0415 - see above
    from hashyard_shared.clock import SystemClock  # noqa: PLC0415 - see above

    parts = miner_parts.build(SystemClock(), credentials_file=credentials_file, profile_folder=folder)
    try:
        discovery = parts.discovery(DiscoveryConfig(subnets=subnets, exclude=exclude))
        with _ProgressBar() as bar:
            return await discovery.scan(progress=bar.update)
    finally:
        await parts.close()


class _ProgressBar:
    """A bar on standard error when a person is looking."""

    _WORDS: Final = {"sweep": "Sweeping addresses", "verify": "Verifying", "identify": "Identifying miners"}

    def __enter__(self) -> Self:
        from rich.console import Console  # noqa: PLC0415 - see above
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn  # noqa: PLC0415 - see above

        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[found]} answer"),
            TimeElapsedColumn(),
            console=Console(stderr=True),
            disable=not sys.stderr.isatty(),
            transient=True,
        )
        self._tasks: dict[str, Any] = {}
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def update(self, progress: "Progress") -> None:
        """Show how far the scan is."""
        task = self._tasks.get(progress.stage)
        if task is None:
            words = self._WORDS.get(progress.stage, progress.stage)
            task = self._tasks[progress.stage] = self._bar.add_task(words, total=progress.total, found=0)
        self._bar.update(task, completed=progress.done, total=progress.total, found=progress.found)


def _show_scan(result: "ScanResult", subnets: tuple[str, ...]) -> None:
    from rich import box  # noqa: PLC0415 - see above
    from rich.console import Console  # noqa: PLC0415 - see above
    from rich.table import Table  # noqa: PLC0415 - see above

    console = Console()
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1), pad_edge=False)
    for title in ("Address", "MAC", "Model", "Firmware", "Expected", "Pools"):
        table.add_column(title, no_wrap=title in {"Address", "MAC", "Firmware"})
    for miner in sorted(result.miners, key=_by_address):
        identity = miner.identity
        expected = miner.expected_hashrate_ths
        table.add_row(
            identity.ip,
            identity.mac or identity.serial or "not told",
            identity.model or "unknown",
            identity.family or "not recognised",
            "" if expected is None else f"{expected:g} TH/s",
            "write" if miner.writable else "read",
        )
    if result.miners:
        console.print(table)
    counts = Counter(miner.identity.family or "not recognised" for miner in result.miners)
    families = ", ".join(f"{count} {name}" for name, count in sorted(counts.items())) or "no miner"
    console.print(
        f"{families} among {result.addresses} addresses of {', '.join(subnets)} in {result.elapsed_s:.1f} s"
    )
    strange = [ip for ip in result.unidentified if all(miner.ip != ip for miner in result.miners)]
    if strange:
        more = "" if len(strange) <= MAX_LISTED else f" and {len(strange) - MAX_LISTED} more"
        console.print(f"Answer but are no miner known here: {', '.join(strange[:MAX_LISTED])}{more}")
    for note in result.notes:
        console.print(f"Note: {note}", style="yellow")


def _by_address(miner: "KnownMiner") -> tuple[int, ...]:
    return tuple(int(part) for part in miner.ip.split(".") if part.isdecimal())


def _scan_document(result: "ScanResult") -> dict[str, Any]:
    return {
        "addresses": result.addresses,
        "elapsed_s": round(result.elapsed_s, 3),
        "miners": [
            {
                "ip": miner.ip,
                "mac": miner.identity.mac,
                "serial": miner.identity.serial,
                "make": miner.identity.make,
                "model": miner.identity.model,
                "family": miner.identity.family,
                "firmware": miner.identity.firmware,
                "expected_hashrate_ths": miner.expected_hashrate_ths,
                "writable": miner.writable,
            }
            for miner in sorted(result.miners, key=_by_address)
        ],
        "unidentified": list(result.unidentified),
        "notes": list(result.notes),
    }


def _list_profiles(known: list["Profile"], site_families: frozenset[str]) -> None:
    from rich.console import Console  # noqa: PLC0415 - see above
    from rich.table import Table  # noqa: PLC0415 - see above

    table = Table("Family", "What it is", "Ports", "Pools", "From")
    for profile in known:
        table.add_row(
            profile.family,
            profile.title,
            ", ".join(map(str, profile.ports)),
            "read and write" if profile.writable else "read only",
            "this site" if profile.family in site_families else "Hashyard",
        )
    console = Console()
    console.print(table)
    console.print("Explain one with: hashyard-agent profiles FAMILY")


def _explain_profile(profile: "Profile") -> None:
    from rich.console import Console  # noqa: PLC0415 - see above
    from rich.table import Table  # noqa: PLC0415 - see above

    console = Console()
    console.print(f"[bold]{profile.family}[/bold]: {profile.title} ({profile.make})")
    console.print(
        f"Ports {', '.join(map(str, profile.ports))}; credentials {', '.join(profile.credentials) or 'none'}"
    )
    for marker in profile.recognise.markers:
        console.print(f"Recognised by {marker.probe} with {' and '.join(marker.contains)} ({marker.source})")
    table = Table("Figure", "Where", "Unit", "Source", title="Each cycle")
    for name in type(profile.fast.fields).model_fields:
        spec = getattr(profile.fast.fields, name)
        if spec is None:
            table.add_row(name, "not told by this firmware", "", "")
        else:
            table.add_row(name, "\n".join(spec.paths), spec.unit.value, spec.source)
    console.print(table)
    write = profile.write
    if write.proven:
        restart = "restarts mining" if write.restarts_mining else "does not restart mining"
        console.print(f"Pools are written: {write.slots} slots, a write {restart} ({write.source})")
    else:
        console.print(f"Pools are only read ({write.source})")
    for quirk in profile.quirks:
        console.print(f"Mind: {quirk.text} ({quirk.source})")
