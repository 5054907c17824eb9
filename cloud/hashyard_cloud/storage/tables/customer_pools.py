"""Customers' normal pools, and what sites reported of them."""

from sqlalchemy import BigInteger, Column, ForeignKey, Integer, Table, Text

from hashyard_cloud.storage.metadata import METADATA

CUSTOMER_POOLS = Table(
    "customer_pools",
    METADATA,
    Column("organisation_id", Text, ForeignKey("organisations.organisation_id"), primary_key=True),
    Column("customer_id", Text, ForeignKey("customers.customer_id"), primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("url", Text, nullable=False),
    Column("worker", Text, nullable=False),
    Column("set_us", BigInteger, nullable=False),
    Column("set_by", Text, nullable=False),
)

CUSTOMER_POOL_SITES = Table(
    "customer_pool_sites",
    METADATA,
    Column("organisation_id", Text, ForeignKey("organisations.organisation_id"), primary_key=True),
    Column("customer_id", Text, ForeignKey("customers.customer_id"), primary_key=True),
    Column("site_id", Text, ForeignKey("sites.site_id"), primary_key=True),
    Column("recorded_us", BigInteger),
    Column("assigned_us", BigInteger),
    Column("actor", Text, nullable=False),
)
