"""Pages for the host's staff."""
