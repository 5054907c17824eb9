"""Pages for the host's customers, in the host's brand."""

from aiohttp import web

from hashyard_cloud.web.portal import agreements, auth, earnings, home, pools, team, units

_FEATURES = (auth, home, units, earnings, agreements, pools, team)


def routes() -> list[web.RouteDef]:
    """The routes of the portal and its sign-in page."""
    return [route for feature in _FEATURES for route in feature.routes()]
