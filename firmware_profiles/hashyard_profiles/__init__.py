"""What is known of each firmware family, as data: one TOML file a family, read with `load()`."""

from hashyard_profiles.loader import Profiles, load
from hashyard_profiles.model import Profile, ProfileError

__all__ = ["Profile", "ProfileError", "Profiles", "load"]
