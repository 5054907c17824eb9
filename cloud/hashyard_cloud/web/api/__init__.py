"""JSON APIs: for agents and for programs."""
