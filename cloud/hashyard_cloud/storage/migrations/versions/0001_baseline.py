"""The whole schema until 1.0; written by `hashyard_cloud.storage.migrations.regenerate`."""

import sqlalchemy as sa
from alembic import op

revision = "0001_baseline"
down_revision = None
branch_labels = None
depends_on = None


def _schema_info() -> None:
    op.create_table(
        "schema_info",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_schema_info")),
    )


def upgrade() -> None:
    _schema_info()


def downgrade() -> None:
    op.drop_table("schema_info")
