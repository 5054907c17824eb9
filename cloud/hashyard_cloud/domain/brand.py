"""A host's colours made readable: text on them, and they on white and on dark, at 4.5 to 1 and better."""

import re
from typing import Final

MIN_CONTRAST: Final = 4.5
LIGHT: Final = "#ffffff"
DARK: Final = "#141b29"
DARK_CARD: Final = "#181d28"
_COLOUR: Final = re.compile(r"#[0-9a-f]{6}")
_STEPS: Final = 40


def is_colour(text: str) -> bool:
    """Whether it is `#rrggbb` in lower case."""
    return _COLOUR.fullmatch(text) is not None


def _parts(colour: str) -> tuple[int, int, int]:
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)


def luminance(colour: str) -> float:
    """Relative luminance as WCAG 2 defines it."""

    def linear(value: int) -> float:
        share = value / 255
        return share / 12.92 if share <= 0.04045 else float(((share + 0.055) / 1.055) ** 2.4)

    red, green, blue = _parts(colour)
    return 0.2126 * linear(red) + 0.7152 * linear(green) + 0.0722 * linear(blue)


def contrast(first: str, second: str) -> float:
    """Contrast ratio, 1 to 21."""
    high, low = sorted((luminance(first), luminance(second)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def text_on(colour: str) -> str:
    """White or dark, whichever reads better on this colour."""
    return LIGHT if contrast(colour, LIGHT) >= contrast(colour, DARK) else DARK


def _mixed(colour: str, towards: str, share: float) -> str:
    pairs = zip(_parts(colour), _parts(towards), strict=True)
    return "#" + "".join(f"{round(one + (other - one) * share):02x}" for one, other in pairs)


def readable(colour: str, ground: str) -> str:
    """The colour itself, or its nearest shade that reads on this ground."""
    towards = "#000000" if luminance(ground) > 0.4 else "#ffffff"
    for step in range(_STEPS + 1):
        shade = _mixed(colour, towards, step / _STEPS)
        if contrast(shade, ground) >= MIN_CONTRAST:
            return shade
    return towards
