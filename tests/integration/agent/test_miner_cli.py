"""The commands as a technician calls them: what they print, and how they exit."""

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from hashyard_support.site import SimulatedSite

    StartSite = Callable[..., SimulatedSite]


def called(*arguments: str, folder: Path, config: str | None = None) -> "subprocess.CompletedProcess[str]":
    path = folder / "agent.toml"
    if config is not None:
        path.write_text(config)
    command = [sys.executable, "-m", "hashyard_agent.cli", *arguments]
    environment = {"PATH": "/usr/bin:/bin", "HASHYARD_AGENT_CONFIG": str(path), "COLUMNS": "120"}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=60)


@pytest.fixture(scope="module")
def conf() -> str:
    return '[cloud]\nurl = "http://127.0.0.1:9"\n[site]\nsubnets = ["127.20.92.0/28"]\n[store]\npath = "{store}"\n'


def test_scan_shows_what_is_there(simulated_site: "StartSite", tmp_path: Path) -> None:
    site = simulated_site("127.20.91.0/28", {"luxos": 2, "bitaxe": 1})
    text = called("scan", "127.20.91.0/28", folder=tmp_path)
    assert text.returncode == 0
    assert "2 luxos" in text.stdout
    for miner in site.miners():
        assert miner["mac"] in text.stdout
        assert miner["ip"] in text.stdout
    document = json.loads(called("scan", "127.20.91.0/28", "--json", folder=tmp_path).stdout)
    assert {miner["ip"] for miner in document["miners"]} == {miner["ip"] for miner in site.miners()}


def test_scan_takes_the_subnets_of_the_settings(simulated_site: "StartSite", tmp_path: Path, conf: str) -> None:
    simulated_site("127.20.92.0/28", {"luxos": 1})
    done = called("scan", folder=tmp_path, config=conf.format(store=tmp_path))
    assert (done.returncode, "1 luxos" in done.stdout) == (0, True)


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("scan", "10.0.0.5/24"), 2, "did you mean 10.0.0.0/24"),
        (("scan", "nowhere"), 2, "is not a subnet"),
        (("scan",), 2, "settings file"),
        (("scan", "127.20.93.0/29"), 1, "no miner among 6 addresses"),
        (("profiles", "nothing"), 2, "there is no family 'nothing'"),
        (("led", "blink", "127.20.93.1"), 2, "neither on nor off"),
        (("led", "on", "somewhere"), 2, "neither an IP nor a MAC"),
        (("led", "on", "127.20.93.1"), 1, "127.20.93.1"),
    ],
)
def test_what_is_wrong_is_said_with_an_exit_code(
    tmp_path: Path, arguments: tuple[str, ...], code: int, says: str
) -> None:
    done = called(*arguments, folder=tmp_path)
    assert done.returncode == code
    assert says in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


def test_profiles_are_listed_and_explained(tmp_path: Path) -> None:
    listed = called("profiles", folder=tmp_path)
    assert listed.returncode == 0
    assert "whatsminer-v3" in listed.stdout
    explained = called("profiles", "antminer-stock", folder=tmp_path)
    assert "summary/SUMMARY/0/GHS 5s" in explained.stdout
    assert "Mind:" in explained.stdout


def test_doctor_says_what_is_wrong_and_what_to_do(tmp_path: Path, conf: str) -> None:
    done = called("doctor", "--json", folder=tmp_path, config=conf.format(store=tmp_path))
    found: list[dict[str, Any]] = json.loads(done.stdout)
    by_what = {row["what"]: row for row in found}
    assert by_what["subnet 127.20.92.0/28"]["level"] == "good"
    assert by_what["cloud http://127.0.0.1:9"]["level"] == "warning"
    assert by_what["cloud http://127.0.0.1:9"]["advice"]
    assert done.returncode == 0


def test_doctor_exits_with_an_error_when_something_must_be_done(tmp_path: Path) -> None:
    done = called("doctor", folder=tmp_path, config="[cloud")
    assert done.returncode == 1
    assert "not valid TOML" in done.stdout


def test_a_credentials_file_that_others_may_read_stops_the_scan(tmp_path: Path, conf: str) -> None:
    secrets = tmp_path / "miners.toml"
    secrets.write_text('[[credential]]\nfamily = "luxos"\npassword = "x"\n')
    secrets.chmod(0o644)
    config = conf.format(store=tmp_path) + f'[credentials]\nfile = "{secrets}"\n'
    done = called("scan", folder=tmp_path, config=config)
    assert done.returncode == 2
    assert "chmod 600" in done.stderr


def test_nothing_heavy_is_loaded_for_status(tmp_path: Path) -> None:
    code = (
        "import sys; from hashyard_agent import cli, cli_store; "
        "sys.exit(any(m in sys.modules for m in ('pyasic', 'aiohttp', 'rich.progress', 'asyncssh')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
