"""Settings: what is wrong is named with what to do; the environment wins over the file."""

from pathlib import Path

import pytest

from hashyard_agent.errors import SettingsError
from hashyard_agent.settings import CONFIG_VARIABLE, load, write_starter

GOOD = '[cloud]\nurl = "https://cloud.example.com/"\n'


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "agent.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_the_smallest_file_is_enough(tmp_path: Path) -> None:
    settings = load(written(tmp_path, GOOD), {})
    assert settings.cloud.url == "https://cloud.example.com"
    assert settings.enforcement.lapse_policy == "restore"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[cloud]\n", r"cloud\.url: is missing; add it"),
        ("cloud = ", "not valid TOML"),
        (GOOD + "[store]\nmaxbytes = 1\n", r"store\.maxbytes: there is no such setting"),
        ('[cloud]\nurl = "http://cloud.example.com"\n', r"cloud\.url: plain http"),
        ('[cloud]\nurl = "cloud.example.com"\n', r"cloud\.url: write it as https://"),
        (GOOD + '[site]\nsubnets = ["10.0.0.0/99"]\n', r"site\.subnets\.0"),
        (GOOD + '[local_web]\nlisten = "8080"\n', r"local_web\.listen: write it as"),
        (GOOD + "[store]\nmax_bytes = 2_000_000\nheadroom_bytes = 3_000_000\n", "headroom_bytes"),
        (GOOD + '[enforcement]\nlapse_policy = "sell"\n', r"enforcement\.lapse_policy"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(SettingsError, match=told):
        load(written(tmp_path, text), {})


def test_a_missing_file_says_where_one_goes(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="--config"):
        load(tmp_path / "none.toml", {})


def test_the_environment_names_the_file_and_overrides_it(tmp_path: Path) -> None:
    environment = {
        CONFIG_VARIABLE: str(written(tmp_path, GOOD)),
        "HASHYARD_AGENT__CLOUD__URL": "https://other.example.com",
        "HASHYARD_AGENT__SITE__SUBNETS": '["10.0.0.0/24"]',
        "HASHYARD_AGENT__NAME": "pn-01",
    }
    settings = load(None, environment)
    assert settings.cloud.url == "https://other.example.com"
    assert [str(subnet) for subnet in settings.site.subnets] == ["10.0.0.0/24"]
    assert settings.name == "pn-01"


def test_a_starter_file_can_be_loaded_and_is_never_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "new" / "agent.toml"
    write_starter(path, "https://cloud.example.com", None)
    assert load(path, {}).cloud.url == "https://cloud.example.com"
    with pytest.raises(SettingsError, match="cannot be written"):
        write_starter(path, "https://cloud.example.com", None)
