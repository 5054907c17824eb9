from pathlib import Path

import pytest

from hashyard_profiles import Profile, ProfileError, load
from hashyard_profiles.loader import MAX_PROFILE_BYTES, parse
from hashyard_profiles.model import compile_path

PROFILES = load()


@pytest.mark.parametrize("profile", PROFILES.values(), ids=list(PROFILES))
def test_every_fact_names_its_source(profile: Profile) -> None:
    specs = [getattr(profile.fast.fields, name) for name in type(profile.fast.fields).model_fields]
    assert all(spec.source.strip() for spec in specs if spec is not None)
    assert profile.write.source.strip()
    assert all(quirk.source.strip() for quirk in profile.quirks)
    assert all(marker.source.strip() for marker in profile.recognise.markers)


@pytest.mark.parametrize("profile", PROFILES.values(), ids=list(PROFILES))
def test_a_family_can_be_recognised(profile: Profile) -> None:
    assert profile.recognise.markers or profile.recognise.driver_classes
    assert profile.fast.port in profile.ports
    assert profile.identity.port in profile.ports


def test_ports_are_those_of_all_families_the_most_common_first() -> None:
    assert PROFILES.ports()[0] in {80, 4028}
    assert set(PROFILES.ports()) == {port for profile in PROFILES.values() for port in profile.ports}


def test_expected_rates_come_from_the_model_whatever_its_spelling() -> None:
    profile = PROFILES["antminer-stock"]
    assert profile.expected_hashrate_ths("Antminer S19j Pro") == 104
    assert profile.expected_hashrate_ths("S19J PRO") == 104
    assert profile.expected_hashrate_ths("S99") is None
    assert profile.expected_hashrate_ths("") is None


def _site_file(folder: Path, family: str, *, proven: bool) -> None:
    text = (Path(str(load.__globals__["__file__"])).parent / "families" / "luxos.toml").read_text()
    text = text.replace('family = "luxos"', f'family = "{family}"').replace("LuxOS on", "Ours on")
    text = text.replace("proven = true", f"proven = {str(proven).lower()}")
    (folder / f"{family}.toml").write_text(text)


def test_a_site_adds_a_family_without_granting_writing(tmp_path: Path) -> None:
    _site_file(tmp_path, "our-own", proven=True)
    profiles = load(tmp_path)
    assert not profiles["our-own"].writable
    assert profiles.site_families == {"our-own"}
    assert profiles["luxos"].writable


def test_a_site_overrides_how_a_family_is_read_but_not_how_it_is_written(tmp_path: Path) -> None:
    _site_file(tmp_path, "luxos", proven=False)
    profiles = load(tmp_path)
    assert profiles["luxos"].title.startswith("Ours on")
    assert profiles["luxos"].write == load()["luxos"].write


def test_an_override_of_a_read_only_family_cannot_make_it_writable(tmp_path: Path) -> None:
    _site_file(tmp_path, "bitaxe", proven=True)
    assert load(tmp_path)["bitaxe"].write == load()["bitaxe"].write


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (('unit = "GH/s"', 'unit = "furlongs"'), "unit"),
        (("summary/SUMMARY/0/GHS 5s", "sumary/SUMMARY/0/GHS 5s"), "names no request"),
        (("{1-16}", "{16-1}"), "range|keys"),
        (('make = "Luxor"', 'make = "Luxor"\nmaker = 1'), "maker"),
        (("proven = true", "proven = true\npassword = 'x'"), "password"),
        (('writer = "luxos"', 'writer = ""'), "proven family"),
        (("schema_version = 1", "schema_version = 2"), "schema_version"),
        (("[recognise]", "[recognise"), "not TOML"),
    ],
)
def test_a_wrong_profile_is_refused_with_file_and_field(
    tmp_path: Path, change: tuple[str, str], says: str
) -> None:
    _site_file(tmp_path, "luxos", proven=True)
    path = tmp_path / "luxos.toml"
    before = path.read_text()
    path.write_text(before.replace(*change))
    assert path.read_text() != before
    with pytest.raises(ProfileError, match=says) as caught:
        load(tmp_path)
    assert "luxos.toml" in str(caught.value)


def test_an_unreadable_or_huge_profile_is_refused(tmp_path: Path) -> None:
    (tmp_path / "big.toml").write_text("#" * (MAX_PROFILE_BYTES + 1))
    with pytest.raises(ProfileError, match="over"):
        load(tmp_path)
    (tmp_path / "big.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(ProfileError, match="cannot be read"):
        load(tmp_path)


def test_a_folder_that_is_not_there_means_the_packaged_profiles(tmp_path: Path) -> None:
    assert load(tmp_path / "none") is load()


def test_ranges() -> None:
    assert compile_path("a/fan{1-3}/b") == ("a", ("fan1", "fan2", "fan3"), "b")
    with pytest.raises(ValueError, match="range"):
        compile_path("a/fan{x}")
    with pytest.raises(ProfileError, match=r"x\.toml: .*Field required"):
        parse("", source="x.toml")
