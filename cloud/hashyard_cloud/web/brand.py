"""A host's brand as a style sheet: its colours, adjusted until everything on them can be read."""

import hashlib
from typing import Final

from aiohttp import hdrs, web

from hashyard_cloud.domain.brand import DARK_CARD, readable, text_on
from hashyard_cloud.services.ports.organisations import LogoRow, OrganisationRow

HOUR_S: Final = 3_600
SOFT_LIGHT: Final = "#f0f3f8"
SOFT_DARK: Final = "#242b3a"
"""The tinted grounds of what is selected: the hardest to read on, so colours are judged there."""


def style(row: OrganisationRow) -> str:
    """The style sheet that puts the brand in place of our own accent."""
    primary, accent = row.colour_primary, row.colour_accent
    light, dark = readable(primary, SOFT_LIGHT), readable(primary, SOFT_DARK)
    return (
        f":root {{ --brand: {primary}; --on-brand: {text_on(primary)}; --brand-2: {accent}; "
        f"--on-brand-2: {text_on(accent)}; --accent: {light}; --accent-strong: {light}; "
        f"--on-accent: {text_on(light)}; "
        f"--accent-soft: color-mix(in srgb, {light} 6%, #fff); --series-1: {light}; }}\n"
        f'[data-bs-theme="dark"] {{ --accent: {dark}; --accent-strong: {dark}; --on-accent: {text_on(dark)}; '
        f"--accent-soft: color-mix(in srgb, {dark} 8%, {DARK_CARD}); --series-1: {dark}; }}\n"
    )


def version(row: OrganisationRow) -> str:
    """Changes with the colours, so that a kept style sheet is never a stale one."""
    return hashlib.sha256(style(row).encode()).hexdigest()[:12]


def adjusted(row: OrganisationRow) -> list[str]:
    """What had to be changed to stay readable, for the host to know."""
    told = []
    for name, ground in (("light", SOFT_LIGHT), ("dark", SOFT_DARK)):
        shade = readable(row.colour_primary, ground)
        if shade != row.colour_primary:
            told.append(
                f"Links and buttons use {shade} on {name} pages: {row.colour_primary} reads too badly there."
            )
    return told


def style_response(row: OrganisationRow) -> web.Response:
    """The style sheet, to be kept for an hour."""
    headers = {hdrs.CACHE_CONTROL: f"private, max-age={HOUR_S}"}
    return web.Response(text=style(row), content_type="text/css", charset="utf-8", headers=headers)


def logo_response(logo: LogoRow | None) -> web.Response:
    """The logo as it was uploaded and checked; 404 without one."""
    if logo is None:
        raise web.HTTPNotFound
    headers = {
        hdrs.CACHE_CONTROL: f"private, max-age={HOUR_S}",
        "Content-Security-Policy": "default-src 'none'; sandbox",
        "X-Content-Type-Options": "nosniff",
    }
    return web.Response(body=logo.body, content_type=logo.media_type, headers=headers)
