"""What use cases need from outside, as Protocols and row dataclasses."""
