"""plans that not every NAS in use can be told"""

from __future__ import annotations

import json

import sqlalchemy as sa
from alembic import op

revision = "0070"
down_revision = "0069"
branch_labels = None
depends_on = None

KEPT = {"radius_former_plan_terms": "terms", "radius_session_change": "former"}
"""Where terms are kept as JSON: themselves, or a list of them with the times at which they were said."""


def upgrade() -> None:
    op.add_column("radius_plan", sa.Column("where_untold", sa.String(12), nullable=False, server_default="refuse_plan"))


def downgrade() -> None:
    # a plan that was sold where not every NAS is told it stays, and the release before refuses it, and each NAS of such a
    # dialect, at the next definition
    op.drop_column("radius_plan", "where_untold")
    if op.get_bind().dialect.name == "postgresql":
        op.execute("SELECT set_config('firstlight.tenant_id', '*', true)")
    for table, column in KEPT.items():
        _forget(table, column)


def _forget(table: str, column: str) -> None:
    """The release before takes terms with no name that it does not know. Thousands of changes keep the same ones."""
    rows = sa.table(table, sa.column(column))
    kept = rows.c[column]
    connection = op.get_bind()
    for before in connection.scalars(sa.select(kept).where(kept.contains('"where_untold"')).distinct()).all():
        said = json.loads(before)
        for terms in said if isinstance(said, list) else [said]:
            (terms.get("terms") or terms).pop("where_untold", None)
        connection.execute(sa.update(rows).where(kept == before).values({column: json.dumps(said)}))
