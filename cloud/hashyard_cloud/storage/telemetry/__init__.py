"""Telemetry in ClickHouse SQL: chDB in the process, or a ClickHouse server, by the DSN."""
