"""What use cases need from outside: one module per feature, Protocols and frozen rows only."""
