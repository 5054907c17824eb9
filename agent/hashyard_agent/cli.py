"""`hashyard-agent`: the technician's and the service's edge.

Whatever takes long to load is imported inside the command that needs it, so that `status` answers at once. Exit
codes: 0 done, 1 a failure of the agent, 2 wrong usage or settings, 3 the local store, 4 the cloud cannot be
reached, 5 somebody or something said no.
"""

import sys
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from typer.core import TyperGroup

from hashyard_agent.errors import (
    AgentError,
    CloudUnreachableError,
    SettingsError,
    StoreError,
)
from hashyard_shared.errors import SharedError

EXIT_FAILED: Final = 1
EXIT_USAGE: Final = 2
EXIT_STORE: Final = 3
EXIT_UNREACHABLE: Final = 4
EXIT_REFUSED: Final = 5

LAZY_MODULES: Final = (
    "hashyard_agent.cli_miners",
    "hashyard_agent.cli_commands",
    "hashyard_agent.cli_enforcement",
)
"""Where further commands live; loaded when one of them is called, or all are listed."""


class LazyGroup(TyperGroup):
    """The commands here, and those of `LAZY_MODULES` when they are asked for."""

    def list_commands(self, ctx: Any) -> list[str]:
        own = super().list_commands(ctx)
        return [*own, *(name for module in LAZY_MODULES for name in _commands(module) if name not in own)]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        own = super().get_command(ctx, cmd_name)
        if own is not None:
            return own
        for module in LAZY_MODULES:
            found = _commands(module).get(cmd_name)
            if found is not None:
                return found
        return None


def _commands(module: str) -> dict[str, Any]:
    group = typer.main.get_group(import_module(module).app)
    return dict(group.commands)


app = typer.Typer(
    cls=LazyGroup,
    help="The Hashyard site agent: finds miners, reads them, and carries out what was decided.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
buffer_app = typer.Typer(help="What waits for the cloud, and what was lost.", invoke_without_command=True)
app.add_typer(buffer_app, name="buffer")

ConfigOption = Annotated[
    Path | None, typer.Option("--config", "-c", help="The settings file; /etc/hashyard/agent.toml by default.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="One JSON document instead of text.")]


@app.command()
def enroll(
    code: Annotated[str, typer.Option(help="The one-time code from the site's page in the cloud.")],
    config: ConfigOption = None,
    cloud_url: Annotated[str | None, typer.Option(help="The cloud's address, if not in the settings.")] = None,
    ca_file: Annotated[Path | None, typer.Option(help="A private CA's certificate to trust instead.")] = None,
    replaces: Annotated[
        str | None, typer.Option(help="The id of the agent whose broken machine this one replaces.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="For scripts: confirm without asking.")] = False,
) -> None:
    """Bind this machine to a site: exchange keys, and pin what the cloud may order."""
    from hashyard_agent.cli_enrol import enrol_here  # noqa: PLC0415 - see the module's docstring

    enrol_here(code, config=config, cloud_url=cloud_url, ca_file=ca_file, replaces=replaces, yes=yes)


@app.command()
def run(config: ConfigOption = None) -> None:
    """Run the agent until SIGTERM or Ctrl-C."""
    from hashyard_agent import app as composition  # noqa: PLC0415 - see the module's docstring
    from hashyard_agent.settings import load  # noqa: PLC0415 - as above

    composition.run(load(config))


@app.command("rotate-key")
def rotate_key(config: ConfigOption = None) -> None:
    """Give this agent a new key of its own, accepted by the cloud; whether the agent runs or not."""
    from hashyard_agent.cli_enrol import change_key  # noqa: PLC0415 - see the module's docstring

    change_key(config)


@app.command()
def status(config: ConfigOption = None, json_: JsonOption = False) -> None:
    """How the agent is, read from its store; works whether it runs or not."""
    from hashyard_agent.cli_store import show_status  # noqa: PLC0415 - see the module's docstring

    show_status(config, as_json=json_)


@buffer_app.callback()
def buffer(context: typer.Context, config: ConfigOption = None, json_: JsonOption = False) -> None:
    """Depth, age, rate, room and gaps of the outbox."""
    from hashyard_agent.cli_store import show_buffer  # noqa: PLC0415 - see the module's docstring

    if context.invoked_subcommand is None:
        show_buffer(config, as_json=json_)


@buffer_app.command("export")
def buffer_export(
    output: Annotated[Path, typer.Option("--output", "-o", help="The file to write; - for standard output.")],
    config: ConfigOption = None,
    form: Annotated[str, typer.Option("--format", help="csv or jsonl.")] = "csv",
) -> None:
    """Write everything that waits as CSV or JSON lines, for a site that is cut off; nothing is removed."""
    from hashyard_agent.cli_store import export  # noqa: PLC0415 - see the module's docstring

    export(config, output, form)


def exit_code(error: Exception) -> int:
    """The exit code for an error of the agent."""
    if isinstance(error, SettingsError):
        return EXIT_USAGE
    if isinstance(error, StoreError):
        return EXIT_STORE
    if isinstance(error, CloudUnreachableError):
        return EXIT_UNREACHABLE
    return EXIT_REFUSED if isinstance(error, (AgentError, SharedError)) else EXIT_FAILED


def main() -> None:
    """The console script: errors become one message and an exit code."""
    try:
        app()
    except (AgentError, SharedError) as error:
        sys.stderr.write(f"hashyard-agent: {error}\n")
        sys.exit(exit_code(error))
    except BrokenPipeError:
        # The reader of our output (head, less) went away; there is nobody to tell.
        sys.stderr.close()
        sys.exit(EXIT_FAILED)


if __name__ == "__main__":
    main()
