"""Which credentials a writer may try on a miner: the site's own, or the factory's that its profile names."""

from collections.abc import Sequence
from dataclasses import dataclass

from hashyard_agent.adapters.credentials import Credential, CredentialStore
from hashyard_agent.ports import Identity
from hashyard_profiles import Profiles


@dataclass(frozen=True, slots=True)
class ProfiledCredentials:
    """`ports.CredentialStore` over the site's file and the firmware profiles."""

    store: CredentialStore
    profiles: Profiles

    def for_miner(self, identity: Identity) -> Sequence[Credential]:
        """The one that fits most closely; none where neither site nor profile names one."""
        profile = self.profiles.get(identity.family)
        names = profile.credentials if profile is not None else ()
        found = self.store.find(ip=identity.ip, mac=identity.mac, family=identity.family, names=names)
        return () if found is None else (found,)
