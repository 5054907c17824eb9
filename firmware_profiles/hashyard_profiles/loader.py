"""Read the profiles: those that come with the package, then the site's own.

A site may add a family or override one, but never grant writing that way: whatever a site's file says, its
family is read-only unless the packaged profile of the same family is proven, and then the packaged words on
writing stay as they are.
"""

import tomllib
from collections.abc import Iterator, Mapping
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Final

from pydantic import ValidationError

from hashyard_profiles.model import Profile, ProfileError, Write

MAX_SITE_PROFILES: Final = 64
MAX_PROFILE_BYTES: Final = 256 * 1024
_FOLDER: Final = "families"


class Profiles(Mapping[str, Profile]):
    """Profiles by family name."""

    def __init__(self, profiles: Mapping[str, Profile], site_families: frozenset[str] = frozenset()) -> None:
        self._profiles = dict(sorted(profiles.items()))
        self.site_families = site_families

    def __getitem__(self, family: str) -> Profile:
        return self._profiles[family]

    def __iter__(self) -> Iterator[str]:
        return iter(self._profiles)

    def __len__(self) -> int:
        return len(self._profiles)

    def ports(self) -> tuple[int, ...]:
        """Every port that some family answers on, the most common first."""
        counts: dict[int, int] = {}
        for profile in self._profiles.values():
            for port in profile.ports:
                counts[port] = counts.get(port, 0) + 1
        return tuple(sorted(counts, key=lambda port: (-counts[port], port)))

    def for_driver_class(self, names: tuple[str, ...]) -> Profile | None:
        """The profile whose driver class comes first among a class and its bases, nearest first."""
        for name in names:
            for profile in self._profiles.values():
                if name in profile.recognise.driver_classes:
                    return profile
        return None


@cache
def packaged() -> Profiles:
    """The profiles that come with Hashyard."""
    found: dict[str, Profile] = {}
    for entry in resources.files("hashyard_profiles").joinpath(_FOLDER).iterdir():
        if entry.name.endswith(".toml"):
            profile = parse(entry.read_text(encoding="utf-8"), source=entry.name)
            if profile.family != entry.name.removesuffix(".toml"):
                raise ProfileError(f"family {profile.family!r} does not match the file", source=entry.name)
            found[profile.family] = profile
    return Profiles(found)


def load(site_folder: Path | None = None) -> Profiles:
    """The packaged profiles with the site's own over them; raises `ProfileError` naming file and field."""
    base = packaged()
    if site_folder is None or not site_folder.is_dir():
        return base
    files = sorted(site_folder.glob("*.toml"))
    if len(files) > MAX_SITE_PROFILES:
        raise ProfileError(f"more than {MAX_SITE_PROFILES} profiles", source=str(site_folder))
    merged = dict(base)
    site_families = set()
    for path in files:
        profile = _site_profile(path, base)
        merged[profile.family] = profile
        site_families.add(profile.family)
    return Profiles(merged, frozenset(site_families))


def parse(text: str, *, source: str) -> Profile:
    """One profile from TOML; raises `ProfileError` naming the field that is wrong."""
    try:
        return Profile.model_validate(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise ProfileError(f"not TOML: {error}", source=source) from error
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"]) or "profile"
        raise ProfileError(f"{field}: {first['msg']}", source=source) from error


def _site_profile(path: Path, base: Profiles) -> Profile:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_PROFILE_BYTES + 1)
        text = data.decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ProfileError(f"cannot be read: {error}", source=str(path)) from error
    if len(data) > MAX_PROFILE_BYTES:
        raise ProfileError(f"over {MAX_PROFILE_BYTES} bytes", source=str(path))
    profile = parse(text, source=str(path))
    known = base.get(profile.family)
    write = known.write if known is not None else Write(source="added on site: never grants writing")
    return profile.model_copy(update={"write": write})
