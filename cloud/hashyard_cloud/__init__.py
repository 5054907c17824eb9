"""The Hashyard cloud service."""
