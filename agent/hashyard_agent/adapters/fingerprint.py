"""Our own look at who answers: the driver can be wrong about a family, so profiles name evidence on the wire."""

from collections.abc import Mapping
from typing import Final

from hashyard_agent.adapters import wire
from hashyard_agent.errors import MinerError
from hashyard_profiles import Profile, Profiles
from hashyard_profiles.model import Marker

PROBE_TIMEOUT_S: Final = 5.0
MAX_EVIDENCE_CHARS: Final = 64 * 1024

Evidence = Mapping[str, str]
"""Probe -> what was answered, in lower case; a probe without an answer is missing."""


class Fingerprinter:
    """Collects evidence from a device and tells which families it fits."""

    def __init__(
        self, profiles: Profiles, http: wire.HttpWire, *, probe_timeout_s: float = PROBE_TIMEOUT_S
    ) -> None:
        self._profiles = profiles
        self._http = http
        self._timeout_s = probe_timeout_s
        self._probes = _distinct_probes(profiles)

    async def collect(self, ip: str) -> Evidence:
        """Send every probe that some profile names, one after the other. A probe that fails is no evidence."""
        found: dict[str, str] = {}
        closed: set[str] = set()
        for probe in self._probes:
            kind, _, argument = probe.partition(":")
            if kind in closed:
                continue
            try:
                async with wire.deadline(ip, self._timeout_s):
                    answer = await self._probe(ip, kind, argument)
            except MinerError:
                closed.add(kind)
                continue
            found[probe] = answer[:MAX_EVIDENCE_CHARS].lower()
        return found

    def families(self, evidence: Evidence) -> list[Profile]:
        """The families that the evidence fits, the most specific first."""
        fitting = [
            profile
            for profile in self._profiles.values()
            if any(fits(marker, evidence) for marker in profile.recognise.markers)
        ]
        return sorted(fitting, key=lambda profile: -profile.recognise.precedence)

    def contradicts(self, profile: Profile, evidence: Evidence) -> bool:
        """Whether the device answered all the probes of this family's markers, and none fitted."""
        markers = profile.recognise.markers
        return bool(markers) and all(m.probe in evidence and not fits(m, evidence) for m in markers)

    async def _probe(self, ip: str, kind: str, argument: str) -> str:
        if kind == "http":
            return await self._http.page(ip, argument)
        if kind == "v3":
            return str(await wire.whatsminer_v3(ip, argument))
        return await wire.cgminer_text(ip, argument)


def fits(marker: Marker, evidence: Evidence) -> bool:
    """Whether the evidence shows this marker."""
    text = evidence.get(marker.probe)
    if text is None:
        return False
    return all(part.lower() in text for part in marker.contains) and not any(
        part.lower() in text for part in marker.absent
    )


def _distinct_probes(profiles: Profiles) -> tuple[str, ...]:
    return tuple(
        dict.fromkeys(marker.probe for profile in profiles.values() for marker in profile.recognise.markers)
    )
