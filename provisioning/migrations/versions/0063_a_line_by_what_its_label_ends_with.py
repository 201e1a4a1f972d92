"""the MAC address of a line from its last digit to its first: it is found by what a label ends with"""

from __future__ import annotations

import re

import sqlalchemy as sa
from alembic import op

revision = "0063"
down_revision = "0062"
branch_labels = None
depends_on = None

TABLE, STATION, REVERSED = "radius_subscriber", "bound_station", "bound_station_from_its_end"
INDEX = "ix_radius_subscriber_station_end"
MAC = re.compile("[0-9a-f]{12}")
AT_ONCE = 1_000


def upgrade() -> None:
    op.add_column(TABLE, sa.Column(REVERSED, sa.String(12)))
    _fill()
    where = sa.text(f"{REVERSED} IS NOT NULL")
    op.create_index(INDEX, TABLE, ["tenant_id", REVERSED], sqlite_where=where, postgresql_where=where)


def downgrade() -> None:
    op.drop_index(INDEX, TABLE)
    op.drop_column(TABLE, REVERSED)


def _fill() -> None:
    """Of the lines that are bound already."""
    connection = op.get_bind()
    line = sa.table(TABLE, sa.column("id"), sa.column(STATION), sa.column(REVERSED))
    bound = connection.execute(sa.select(line.c.id, line.c[STATION]).where(line.c[STATION].is_not(None))).all()
    found = [{"number": one.id, "reversed": one[1][::-1]} for one in bound if MAC.fullmatch(one[1])]
    kept = sa.update(line).where(line.c.id == sa.bindparam("number")).values({REVERSED: sa.bindparam("reversed")})
    for start in range(0, len(found), AT_ONCE):
        connection.execute(kept, found[start : start + AT_ONCE])
