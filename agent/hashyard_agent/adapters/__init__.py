"""Adapters: the outside world behind the agent's ports."""
