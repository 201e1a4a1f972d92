"""who has or had a username is seen across tenants, of the names alone that are asked for

FreeRADIUS knows one subscriber of a name, whoever owns it, and its sessions stay in the accounting under it: so a name
that another tenant gave up is not free. The transaction says which names it asks for (``radius.subscribers.former_names``).
"""

from __future__ import annotations

from alembic import op

revision = "0027"
down_revision = "0026"
branch_labels = None
depends_on = None

TABLES = ("radius_former_username", "radius_subscriber")
ASKED_FOR = "string_to_array(current_setting('firstlight.usernames', true), ' ')"


def upgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        for name in TABLES:
            op.execute(f"CREATE POLICY {name}_asked_for ON {name} FOR SELECT USING (username = ANY ({ASKED_FOR}))")


def downgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        for name in TABLES:
            op.execute(f"DROP POLICY {name}_asked_for ON {name}")
