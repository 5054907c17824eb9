"""All tables. Importing this package fills `METADATA`; add a feature's module here."""

from hashyard_cloud.storage.metadata import METADATA
from hashyard_cloud.storage.tables import (
    agents,
    contracts,
    customers,
    desired,
    enrolment,
    equipment,
    ingest,
    leases,
    miners,
    organisations,
    rollups,
    schema_info,
    sites,
    users,
)

__all__ = [
    "METADATA",
    "agents",
    "contracts",
    "customers",
    "desired",
    "enrolment",
    "equipment",
    "ingest",
    "leases",
    "miners",
    "organisations",
    "rollups",
    "schema_info",
    "sites",
    "users",
]
