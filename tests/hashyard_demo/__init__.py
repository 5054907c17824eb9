"""A whole Hashyard on one machine: simulated sites, an agent for each, the cloud. `python -m hashyard_demo`.

`world` describes and starts it (the end-to-end tests use the same), `seed` fills the cloud through its own
services, `story` tells what happens.
"""
