"""The Hashyard site agent."""
