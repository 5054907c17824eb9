"""Which version of the agent runs."""

from importlib.metadata import PackageNotFoundError, version


def agent_version() -> str:
    """The installed version, or "unknown" when the code runs without being installed."""
    try:
        return version("hashyard")
    except PackageNotFoundError:
        return "unknown"
