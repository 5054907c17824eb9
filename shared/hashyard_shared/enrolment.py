"""The one-time enrolment code: a secret and the fingerprint of the organisation's signing key in one line.

`HY1-<16 base32 characters of secret>-<32 hex characters of fingerprint>`. The technician carries it from the
cloud page to the rack host, so the agent knows which signing key it may pin before it trusts the network.
"""

import base64
import hashlib
import os
import re
from dataclasses import dataclass
from typing import Final

from hashyard_shared.errors import ErrorCode, SharedError
from hashyard_shared.signing import FINGERPRINT_CHARS

_SECRET_BYTES: Final = 10
_FORM: Final = re.compile(rf"HY1-([A-Z2-7]{{16}})-([0-9A-F]{{{FINGERPRINT_CHARS}}})")


class EnrolmentCodeError(SharedError):
    """The enrolment code is mistyped: it reads HY1-, 16 letters and digits, a dash, 32 hex digits."""

    code = ErrorCode.CODE_UNKNOWN


@dataclass(frozen=True, slots=True)
class EnrolmentCode:
    """A code's two halves: what proves the right to enrol, and whom to trust."""

    secret: str
    signing_key_fingerprint: str

    @classmethod
    def mint(cls, signing_key_fingerprint: str) -> "EnrolmentCode":
        """A fresh code for this organisation's signing key."""
        secret = base64.b32encode(os.urandom(_SECRET_BYTES)).decode("ascii")
        return cls(secret, signing_key_fingerprint)

    @classmethod
    def parse(cls, text: str) -> "EnrolmentCode":
        """Read what a person typed or pasted; case and white space do not matter."""
        found = _FORM.fullmatch("".join(text.split()).upper())
        if found is None:
            raise EnrolmentCodeError
        return cls(found[1], found[2].lower())

    def __str__(self) -> str:
        return f"HY1-{self.secret}-{self.signing_key_fingerprint.upper()}"

    def secret_hash(self) -> str:
        """What the cloud stores instead of the secret (80 random bits need no slow hash)."""
        return hashlib.sha256(b"hashyard:enrol:" + self.secret.encode("ascii")).hexdigest()
