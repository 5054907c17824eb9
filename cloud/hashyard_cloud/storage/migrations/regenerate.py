"""Until 1.0 the chain has one revision, written from the tables: `python -m <this module>`.

The file is the same for the same tables, so a test can compare it, and two people who regenerate it agree.
"""

import subprocess
import sys
from typing import Final

from alembic.autogenerate import render_python_code
from alembic.operations import ops
from sqlalchemy import Table

from hashyard_cloud.storage.migrations import BASELINE_FILE
from hashyard_cloud.storage.tables import METADATA

_HEAD: Final = '''"""The whole schema until 1.0; written by `hashyard_cloud.storage.migrations.regenerate`."""

import sqlalchemy as sa
from alembic import op

revision = "0001_baseline"
down_revision = None
branch_labels = None
depends_on = None
'''


def source() -> str:
    """The revision's source, before formatting."""
    ordered = METADATA.sorted_tables
    parts = [_HEAD, *(_function(table) for table in ordered)]
    parts.append("def upgrade() -> None:\n" + "\n".join(f"    _{table.name}()" for table in ordered))
    drops = "\n".join(f'    op.drop_table("{table.name}")' for table in reversed(ordered))
    parts.append("def downgrade() -> None:\n" + drops)
    return "\n\n".join(parts) + "\n"


def _function(table: Table) -> str:
    steps: list[ops.MigrateOperation] = [ops.CreateTableOp.from_table(table)]
    steps += [
        ops.CreateIndexOp.from_index(index) for index in sorted(table.indexes, key=lambda one: str(one.name))
    ]
    body = render_python_code(ops.UpgradeOps(steps))
    lines = [line.strip() for line in body.splitlines() if line.strip() and not line.strip().startswith("#")]
    return f"def _{table.name}() -> None:\n" + "\n".join(f"    {line}" for line in lines)


def formatted(text: str) -> str:
    """As the project's formatter writes it (a development tool; the service never comes here)."""
    command = [sys.executable, "-m", "ruff", "format", "--stdin-filename", str(BASELINE_FILE), "-"]
    done = subprocess.run(  # noqa: S603 - our own interpreter with fixed arguments
        command, input=text, text=True, capture_output=True, check=True, timeout=60
    )
    return done.stdout


def main() -> None:
    """Write the file."""
    BASELINE_FILE.write_text(formatted(source()))


if __name__ == "__main__":
    main()
