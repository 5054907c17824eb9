"""Own and copied browser files under content-hashed addresses, held in memory, compressed once.

An address changes with its content, so browsers may keep it for a year. Inside style sheets `url(name)` of a
known file is replaced by its address.
"""

import gzip
import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from aiohttp import hdrs, web

from hashyard_cloud.errors import StartError

STATIC_DIR: Final = Path(__file__).parent / "static"
YEAR_S: Final = 31_536_000
_TYPES: Final = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".woff2": "font/woff2",
    ".png": "image/png",
}
_COMPRESSED: Final = frozenset({".css", ".js", ".svg"})
_URL: Final = re.compile(rb"url\(([a-z0-9.-]+)\)")
REQUIRED: Final = (
    "tabler.min.css",
    "htmx.min.js",
    "uplot.min.js",
    "uplot.min.css",
    "icons.svg",
    "app.css",
    "app.js",
)


class AssetsMissingError(StartError):
    """The browser's files are not installed."""

    exit_code = 7


@dataclass(frozen=True, slots=True)
class StaticFile:
    """A file as sent."""

    content_type: str
    body: bytes
    zipped: bytes | None


class StaticFiles:
    """Every file of the static folder by its hashed address."""

    def __init__(self, directory: Path = STATIC_DIR) -> None:
        self._by_path: dict[str, StaticFile] = {}
        self._paths: dict[str, str] = {}
        found = {path.name: path for path in sorted(directory.rglob("*")) if path.suffix in _TYPES}
        missing = [name for name in REQUIRED if name not in found]
        if missing:
            raise AssetsMissingError(f"the browser's file {missing[0]} is not installed; run `make setup`")
        # Style sheets last: they name the others.
        for name, path in sorted(found.items(), key=lambda item: item[1].suffix == ".css"):
            self._add(name, path)

    def _add(self, name: str, path: Path) -> None:
        body = path.read_bytes()
        if path.suffix == ".css":
            body = _URL.sub(self._address, body)
        digest = hashlib.sha256(body).hexdigest()[:12]
        address = f"/static/{path.stem}.{digest}{path.suffix}"
        zipped = gzip.compress(body, mtime=0) if path.suffix in _COMPRESSED else None
        self._by_path[address] = StaticFile(_TYPES[path.suffix], body, zipped)
        self._paths[name] = address

    def _address(self, match: re.Match[bytes]) -> bytes:
        address = self._paths.get(match.group(1).decode())
        return f"url({address})".encode() if address else match.group(0)

    def path(self, name: str) -> str:
        """The address of a file, for templates; raises `KeyError` for a name that is not there."""
        return self._paths[name]

    async def serve(self, request: web.Request) -> web.Response:
        """GET /static/{name}: the file, to be kept for a year."""
        found = self._by_path.get(request.path)
        if found is None:
            raise web.HTTPNotFound
        headers = {
            hdrs.CONTENT_TYPE: found.content_type,
            hdrs.CACHE_CONTROL: f"public, max-age={YEAR_S}, immutable",
            hdrs.VARY: "Accept-Encoding",
        }
        if found.zipped and "gzip" in request.headers.get(hdrs.ACCEPT_ENCODING, ""):
            return web.Response(body=found.zipped, headers=headers | {hdrs.CONTENT_ENCODING: "gzip"})
        return web.Response(body=found.body, headers=headers)
