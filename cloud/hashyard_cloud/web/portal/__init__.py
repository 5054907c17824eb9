"""Pages for the host's customers."""
