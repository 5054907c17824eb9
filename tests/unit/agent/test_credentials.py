from pathlib import Path

import pytest

from hashyard_agent.adapters.credentials import CredentialStore, factory_credentials
from hashyard_agent.errors import SettingsError
from hashyard_profiles import load

FILE = """
[[credential]]
family = "antminer-stock"
password = "by-family"

[[credential]]
subnet = "10.1.0.0/16"
password = "by-subnet"

[[credential]]
subnet = "10.1.2.0/24"
username = "admin"
password = "by-small-subnet"

[[credential]]
mac = "02-5E-E0-00-00-0A"
password = "by-mac"
"""


def written(folder: Path, text: str, mode: int = 0o600) -> Path:
    path = folder / "credentials.toml"
    path.write_text(text)
    path.chmod(mode)
    return path


def found(store: CredentialStore, ip: str, mac: str | None = None, family: str = "antminer-stock") -> str | None:
    credential = store.find(ip=ip, mac=mac, family=family, names=("antminer-web",))
    return None if credential is None else f"{credential.username}:{credential.password}"


def test_the_closest_entry_wins(tmp_path: Path) -> None:
    store = CredentialStore.from_file(written(tmp_path, FILE))
    assert found(store, "10.1.2.3", "02:5e:e0:00:00:0a") == "root:by-mac"
    assert found(store, "10.1.2.3") == "admin:by-small-subnet"
    assert found(store, "10.1.9.9") == "root:by-subnet"
    assert found(store, "10.9.9.9") == "root:by-family"
    assert found(store, "10.9.9.9", family="luxos") == "root:root"


def test_without_a_file_the_factory_credentials_are_meant(tmp_path: Path) -> None:
    assert found(CredentialStore.from_file(None), "10.0.0.1") == "root:root"
    assert found(CredentialStore.from_file(tmp_path / "none.toml"), "10.0.0.1") == "root:root"
    assert CredentialStore().find(ip="10.0.0.1", mac=None, family="x", names=()) is None


def test_a_file_that_others_may_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="chmod 600"):
        CredentialStore.from_file(written(tmp_path, FILE, 0o644))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[[credential", "not TOML"),
        ("[[credentials]]\npassword = 'secret'", "must be"),
        ("[[credential]]\npassword = 'secret'", "needs a mac, a subnet or a family"),
        ("[[credential]]\nmac = 'zz'\npassword = 'secret'", "mac"),
        ("[[credential]]\nsubnet = '10.0.0.0/99'\npassword = 'secret'", "subnet"),
        ("[[credential]]\nfamily = 'luxos'\npasword = 'secret'", "pasword"),
    ],
)
def test_a_wrong_entry_is_named_and_no_password_shown(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(SettingsError, match=says) as caught:
        CredentialStore.from_file(written(tmp_path, text))
    assert "secret" not in str(caught.value)


def test_a_password_shows_in_no_repr() -> None:
    assert "root" not in repr(factory_credentials()["antminer-web"]).replace("username='root'", "")


def test_every_name_in_a_profile_has_factory_credentials() -> None:
    named = {name for profile in load().values() for name in profile.credentials}
    assert named <= factory_credentials().keys()
