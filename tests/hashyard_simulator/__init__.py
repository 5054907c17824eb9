"""A simulated mining site, served over the wire on loopback addresses."""
