"""The evidence bundle as a file: the same content makes the same bytes, and it is checked without the service.

The ZIP stores its files uncompressed, sorted, with one fixed date; a manifest names each file with its SHA-256 and
is signed with the organisation's key. A bundle that is not byte for byte what its content makes is refused.
"""

import hashlib
import io
import json
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from pydantic import ValidationError

from hashyard_shared.errors import SharedError
from hashyard_shared.journal import GENESIS, line_hash
from hashyard_shared.orders import Order
from hashyard_shared.signing import (
    DocumentType,
    Envelope,
    decode_base64,
    encode_base64,
    fingerprint,
    grouped,
    public_bytes,
    sign,
    verify,
)

FORMAT: Final = "hashyard-evidence-1"
MANIFEST: Final = "manifest.json"
SIGNATURE: Final = "manifest.signature.json"
KEYS: Final = "keys.json"
ORDERS: Final = "orders.json"
PUBLISHED: Final = "journal/published.json"
NOTICES: Final = "notices.json"
JOURNAL_FOLDER: Final = "journal/"
MAX_BUNDLE_BYTES: Final = 512 * 1024 * 1024
MAX_FILES: Final = 10_000
_DATE: Final = (1980, 1, 1, 0, 0, 0)
_UNIX: Final = 3
_MODE: Final = 0o100644 << 16


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was checked."""

    name: str
    passed: bool
    detail: str


@dataclass(frozen=True, slots=True)
class Report:
    """What a verification found. `signer` is the fingerprint of the key that signed the manifest."""

    checks: tuple[Check, ...]
    signer: str

    @property
    def ok(self) -> bool:
        """Whether everything held."""
        return all(check.passed for check in self.checks)


class _NotSoError(Exception):
    """A check failed."""


def dumps(value: Any) -> bytes:
    """JSON as bundles hold it: sorted, readable, with an end of line."""
    return (json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False) + "\n").encode()


def signed_bundle(files: Mapping[str, bytes], about: Mapping[str, Any], key: Ed25519PrivateKey) -> bytes:
    """The ZIP of these files with manifest and signature; `about` goes into the manifest."""
    listed = {
        name: {"sha256": hashlib.sha256(body).hexdigest(), "bytes": len(body)} for name, body in files.items()
    }
    public = encode_base64(public_bytes(key))
    manifest = dumps({"format": FORMAT, "about": dict(about), "files": listed, "signing_key": public})
    signature = sign(key, DocumentType.EVIDENCE, hashlib.sha256(manifest).digest())
    return _zip({**files, MANIFEST: manifest, SIGNATURE: dumps(signature.model_dump())})


def _zip(files: Mapping[str, bytes]) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(files):
            entry = zipfile.ZipInfo(name, _DATE)
            entry.create_system = _UNIX
            entry.external_attr = _MODE
            archive.writestr(entry, files[name])
    return made.getvalue()


def verify_bundle(data: bytes, expected_signer: str = "") -> Report:
    """Check a bundle from its bytes alone; `expected_signer` is a fingerprint got in another way."""
    files, container = _read(data)
    checks = [container]
    signer = ""
    if container.passed:
        steps: tuple[tuple[str, Callable[[Mapping[str, bytes]], str]], ...] = (
            ("manifest signature", _signature),
            ("files", _listed),
            ("orders", _orders),
            ("journal", _journals),
            ("published heads", _published),
            ("proofs of delivery", _proofs),
        )
        for name, step in steps:
            checks.append(_checked(name, step, files))
        signer = _signer(files)
    if expected_signer:
        wanted = "".join(expected_signer.split()).lower()
        checks.append(Check("signer", signer == wanted, f"signed by {grouped(signer) or 'nobody'}"))
    return Report(tuple(checks), signer)


def _checked(name: str, step: Callable[[Mapping[str, bytes]], str], files: Mapping[str, bytes]) -> Check:
    try:
        return Check(name, passed=True, detail=step(files))
    except _NotSoError as error:
        return Check(name, passed=False, detail=str(error))
    except (SharedError, ValidationError, ValueError, KeyError, TypeError, AttributeError) as error:
        # Whatever shape a forged file has: it is not what a bundle holds, and is named instead of crashing.
        return Check(name, passed=False, detail=f"cannot be read: {type(error).__name__}: {error}")


def _read(data: bytes) -> tuple[dict[str, bytes], Check]:
    name = "container"
    if len(data) > MAX_BUNDLE_BYTES:
        return {}, Check(name, passed=False, detail=f"larger than {MAX_BUNDLE_BYTES} bytes")
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            entries = archive.infolist()
            if len(entries) > MAX_FILES or sum(entry.file_size for entry in entries) > MAX_BUNDLE_BYTES:
                return {}, Check(name, passed=False, detail="too many or too large files")
            files = {entry.filename: archive.read(entry) for entry in entries}
        same = _zip(files) == data
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, ValueError, OSError, EOFError) as error:
        return {}, Check(name, passed=False, detail=f"not a whole ZIP: {error}")
    if not same:
        return {}, Check(name, passed=False, detail="the bytes are not those that its files make")
    return files, Check(name, passed=True, detail=f"{len(files)} files")


def _manifest(files: Mapping[str, bytes]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(files[MANIFEST])
    if found["format"] != FORMAT:
        raise _NotSoError(f"format {found['format']!r} is not known here")
    return found


def _signer(files: Mapping[str, bytes]) -> str:
    try:
        return fingerprint(decode_base64(_manifest(files)["signing_key"]))
    except (SharedError, _NotSoError, ValueError, KeyError, TypeError):
        return ""


def _signature(files: Mapping[str, bytes]) -> str:
    public = decode_base64(_manifest(files)["signing_key"])
    envelope = Envelope.model_validate_json(files[SIGNATURE])
    signed = verify(public, DocumentType.EVIDENCE, envelope)
    if signed != hashlib.sha256(files[MANIFEST]).digest() or envelope.key != fingerprint(public):
        raise _NotSoError("the signature is of another manifest")
    return f"by key {grouped(fingerprint(public))}"


def _listed(files: Mapping[str, bytes]) -> str:
    listed = _manifest(files)["files"]
    present = set(files) - {MANIFEST, SIGNATURE}
    if set(listed) != present:
        raise _NotSoError(f"files and manifest differ: {', '.join(sorted(set(listed) ^ present)[:5])}")
    for name in sorted(present):
        if hashlib.sha256(files[name]).hexdigest() != listed[name]["sha256"]:
            raise _NotSoError(f"{name} was changed")
    return f"{len(present)} files as listed"


def _orders(files: Mapping[str, bytes]) -> str:
    keys = {row["fingerprint"]: decode_base64(row["public_key"]) for row in json.loads(files[KEYS])}
    for stated, public in keys.items():
        if fingerprint(public) != stated:
            raise _NotSoError(f"key {stated} has another fingerprint")
    rows = json.loads(files[ORDERS])
    last: dict[str, int] = {}
    for row in rows:
        envelope = Envelope.model_validate(row["envelope"])
        if envelope.key not in keys:
            raise _NotSoError(f"order {row['order']['order_id']} is signed by an unknown key")
        order = Order.opened(keys[envelope.key], envelope)
        if order.model_dump(mode="json") != row["order"]:
            raise _NotSoError(f"order {order.order_id} is not what was signed")
        if order.sequence <= last.get(order.unit_id, 0):
            raise _NotSoError(f"order {order.order_id} does not follow the one before")
        last[order.unit_id] = order.sequence
    return f"{len(rows)} signatures hold"


def _journal_lines(files: Mapping[str, bytes], name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in files[name].decode().splitlines()]


def _journals(files: Mapping[str, bytes]) -> str:
    count = withheld = 0
    for name in sorted(files):
        if not name.startswith(JOURNAL_FOLDER) or name == PUBLISHED:
            continue
        previous = GENESIS
        for index, line in enumerate(_journal_lines(files, name)):
            if line["index"] != index:
                raise _NotSoError(f"{name}: line {index} is missing")
            if "text" in line:
                content = json.loads(line["text"])
                whole = line_hash(line["text"]) == line["hash"]
                if not whole or content["prev"] != previous or content["index"] != index:
                    raise _NotSoError(f"{name}: line {index} does not follow")
            else:
                withheld += 1
            previous = line["hash"]
            count += 1
    return f"{count} lines chain; {withheld} of other customers are withheld, their hashes stand in"


def _published(files: Mapping[str, bytes]) -> str:
    rows = json.loads(files[PUBLISHED])
    for row in rows:
        lines = _journal_lines(files, f"{JOURNAL_FOLDER}{row['agent_id']}.jsonl")
        if len(lines) < row["lines"] or lines[row["lines"] - 1]["hash"] != row["hash"]:
            raise _NotSoError(f"the head told on {row['day']} is not in the journal of agent {row['agent_id']}")
    return f"{len(rows)} heads told to the customer are in the chain"


def _proofs(files: Mapping[str, bytes]) -> str:
    count = 0
    for row in json.loads(files[NOTICES]):
        if not row["proof_file"]:
            continue
        if hashlib.sha256(files[row["proof_file"]]).hexdigest() != row["proof_sha256"]:
            raise _NotSoError(f"the proof of notice {row['notice_id']} was changed")
        count += 1
    return f"{count} proofs as recorded"
