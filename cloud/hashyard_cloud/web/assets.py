"""Copies what the browser loads from node_modules into the package: `python -m hashyard_cloud.web.assets`.

Run by `make setup` after `npm ci`. Nothing is ever loaded from another host. The copies keep plain names; the
service gives them content-hashed addresses when it starts (see `static_files`).
"""

import argparse
import re
import shutil
import sys
from pathlib import Path
from typing import Final

VENDOR: Final = Path(__file__).parent / "static" / "vendor"
ICONS_LIST: Final = Path(__file__).parent / "icons.txt"

COPIES: Final = {
    "@tabler/core/dist/css/tabler.min.css": "tabler.min.css",
    "htmx.org/dist/htmx.min.js": "htmx.min.js",
    "uplot/dist/uPlot.iife.min.js": "uplot.min.js",
    "uplot/dist/uPlot.min.css": "uplot.min.css",
    "@fontsource-variable/inter/files/inter-latin-wght-normal.woff2": "inter-latin.woff2",
    "@fontsource-variable/inter/files/inter-latin-ext-wght-normal.woff2": "inter-latin-ext.woff2",
}

_SVG: Final = re.compile(r"<svg[^>]*>(.*)</svg>", re.DOTALL)
_SOURCE_MAP: Final = re.compile(rb"\n?(/\*|//)# sourceMappingURL=[^\n]*")


class AssetsError(Exception):
    """The browser's files are not there; run `npm ci` first."""


def icon_names(path: Path = ICONS_LIST) -> list[str]:
    """The icons that pages use, one a line; `name-filled` comes from the filled set."""
    return [line.strip() for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]


def build_sprite(icons: Path, names: list[str]) -> str:
    """One SVG with a `<symbol>` for each icon; raises `AssetsError` for a name that does not exist."""
    symbols = []
    for name in names:
        filled = name.endswith("-filled")
        source = icons / ("filled" if filled else "outline") / f"{name.removesuffix('-filled')}.svg"
        match = _SVG.search(source.read_text(encoding="utf-8")) if source.is_file() else None
        if not match:
            raise AssetsError(f"there is no icon {name!r} in {icons}")
        body = " ".join(match.group(1).split()).replace('<path stroke="none" d="M0 0h24v24H0z" fill="none" />', "")
        paint = (
            'fill="currentColor"'
            if filled
            else 'fill="none" stroke="currentColor" stroke-linecap="round" stroke-linejoin="round"'
        )
        symbols.append(f'<symbol id="{name}" viewBox="0 0 24 24" {paint}>{body}</symbol>')
    return '<svg xmlns="http://www.w3.org/2000/svg">' + "".join(symbols) + "</svg>\n"


def copy_assets(node_modules: Path, vendor: Path = VENDOR) -> list[str]:
    """Fill `vendor` afresh and answer the names; raises `AssetsError` when a package is missing."""
    missing = [source for source in COPIES if not (node_modules / source).is_file()]
    if missing:
        raise AssetsError(f"{node_modules / missing[0]} is missing; run `npm ci` first")
    sprite = build_sprite(node_modules / "@tabler/icons/icons", icon_names())
    shutil.rmtree(vendor, ignore_errors=True)
    vendor.mkdir(parents=True)
    for source, name in COPIES.items():
        body = (node_modules / source).read_bytes()
        if not name.endswith(".woff2"):
            body = _SOURCE_MAP.sub(b"", body)
        (vendor / name).write_bytes(body)
    (vendor / "icons.svg").write_text(sprite, encoding="utf-8")
    return [*COPIES.values(), "icons.svg"]


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description="Copy the browser's files into the package.")
    parser.add_argument("--node-modules", type=Path, default=Path("node_modules"))
    arguments = parser.parse_args()
    try:
        names = copy_assets(arguments.node_modules)
    except AssetsError as error:
        sys.exit(f"assets: {error}")
    sys.stdout.write(f"assets: {len(names)} files in {VENDOR}\n")


if __name__ == "__main__":
    main()
