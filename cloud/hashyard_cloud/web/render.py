"""Templates: one environment, the filters for numbers and times, and what every page needs."""

from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from aiohttp import hdrs, web
from jinja2 import Environment, FileSystemLoader, StrictUndefined, pass_context
from jinja2.runtime import Context
from markupsafe import Markup

from hashyard_cloud.web import chart_ranges
from hashyard_cloud.web import format as formats
from hashyard_cloud.web.static_files import StaticFiles

TEMPLATES: Final = Path(__file__).parent / "templates"
ICONS_REMEMBERED: Final = 1_000
ENVIRONMENT: Final = web.AppKey("ENVIRONMENT", Environment)
STATIC: Final = web.AppKey("STATIC", StaticFiles)

_PLAIN: Final = (
    *("number", "ths", "phs", "kw", "efficiency", "percent", "amount", "money", "rate", "duration"),
    *("span_of_seconds", "plural", "initials", "clock_text"),
)
_ZONED: Final = {"when": formats.when, "day": formats.day}


def environment(static: StaticFiles) -> Environment:
    """The template environment; unknown names are errors, not blanks."""
    made = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    for name in _PLAIN:
        made.filters[name] = getattr(formats, name)
    for name, function in _ZONED.items():
        made.filters[name] = _zoned(function)
    made.filters["age"] = _age
    made.filters["pair"] = lambda text: (text, text)
    made.globals["static"] = static.path
    made.globals["icon"] = _icon(static.path("icons.svg"))
    made.globals["chart_labels"] = chart_ranges.RANGE_LABELS
    made.globals["chart_metrics"] = list(chart_ranges.Metric)
    made.globals["DASH"] = formats.DASH
    made.globals["NO_DATA"] = formats.NO_DATA
    return made


def _zoned(function: Any) -> Any:
    @pass_context
    def filter_(
        context: Context, at_us: int | None, timezone: str | None = None, missing: str = formats.DASH
    ) -> Any:
        return function(at_us, timezone or context["timezone"], context["now_us"], missing)

    return filter_


@pass_context
def _age(context: Context, at_us: int | None) -> Markup:
    return formats.age(at_us, context["now_us"])


def _icon(sprite: str) -> Any:
    # A list draws the same few icons hundreds of times.
    @lru_cache(maxsize=ICONS_REMEMBERED)
    def icon(name: str, label: str = "", size: int = 18, css: str = "") -> Markup:
        """An icon of the sprite; with a label it is read aloud, without it is decoration."""
        described = Markup('role="img" aria-label="{}"').format(label) if label else Markup('aria-hidden="true"')
        return Markup(
            '<svg class="i i-{} {}" width="{}" height="{}" stroke-width="1.75" {}><use href="{}#{}"/></svg>'
        ).format(name, css, size, size, described, sprite, name)

    return icon


def html(app: web.Application, template: str, status: int = 200, **context: Any) -> web.Response:
    """Render a template as a page that no cache keeps."""
    text = app[ENVIRONMENT].get_template(template).render(**context)
    response = web.Response(text=text, status=status, content_type="text/html")
    response.headers[hdrs.CACHE_CONTROL] = "no-store"
    response.enable_compression()
    return response
