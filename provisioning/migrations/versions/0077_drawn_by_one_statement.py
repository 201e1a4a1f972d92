"""what is drawn from several pools is drawn by one statement"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY

from ipam.allocation.at_once_ddl import GIVE_AT_ONCE

revision = "0077"
down_revision = "0076"
branch_labels = None
depends_on = None

SERVING = "ipam_serving"
NUMBERS = sa.Text().with_variant(ARRAY(sa.Integer), "postgresql")
ARRAYS = {"firsts": False, "drawn": True, "hints": False}
"""Each with whether it may be missing."""
LEFT_TO_STEPS = (
    "CREATE OR REPLACE FUNCTION {name}(of_tenant text, for_customer bigint, at_place text, on_plan text,"
    " by_request text, at_realm text, now_at timestamptz) RETURNS text LANGUAGE sql AS 'SELECT NULL::text'"
)


def upgrade() -> None:
    is_postgresql = op.get_bind().dialect.name == "postgresql"
    if is_postgresql:
        op.execute("SELECT set_config('firstlight.tenant_id', '*', true)")
    op.execute(f"DELETE FROM {SERVING}")  # noqa: S608 - each is worked out anew when it is asked for
    with op.batch_alter_table(SERVING) as serving:
        for name, may_be_missing in ARRAYS.items():
            serving.add_column(sa.Column(name, NUMBERS, nullable=may_be_missing))
    if is_postgresql:
        for sql in GIVE_AT_ONCE:
            op.execute(sql)


def downgrade() -> None:
    """The function that was there before is no longer known; in its place is one that leaves all to the steps."""
    if op.get_bind().dialect.name == "postgresql":
        for name in ("ipam_give_or_refuse", "ipam_give_at_once"):
            op.execute(LEFT_TO_STEPS.format(name=name))
    with op.batch_alter_table(SERVING) as serving:
        for name in ARRAYS:
            serving.drop_column(name)
