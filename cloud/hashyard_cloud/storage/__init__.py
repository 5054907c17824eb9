"""Relational and telemetry stores; the SQL lives here."""
