"""FreeRADIUS as Debian ships it, with its own site, policies and five questions, on a database of ours.

Only what must be is changed: where it listens and writes, who its NAS is, that its `sql` speaks PostgreSQL, that it
refuses at once (so does ours in the bench), and that EAP is off, whose certificates are not shipped.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.freeradius_process import free_port, running

SHIPPED = Path("/etc/freeradius/3.0")
_LISTEN = re.compile(r"^listen \{.*?^\}$", re.DOTALL | re.MULTILINE)
_EAP = re.compile(r"^\t+-?eap(?: \{.*?^\t+\})?$", re.DOTALL | re.MULTILINE)


def stock_is_readable() -> bool:
    """Its files belong to FreeRADIUS' user; root reads them as well."""
    try:
        return bool(list((SHIPPED / "sites-available").iterdir()))
    except OSError:
        return False


def login_table() -> str:
    """What makes the table that its site logs to."""
    schema = (SHIPPED / "mods-config/sql/main/postgresql/schema.sql").read_text()
    table = schema[schema.index("CREATE TABLE IF NOT EXISTS radpostauth") :]
    return table[: table.index("/*")]


@contextmanager
def stock_server(run_dir: Path, radius_db: str, secret: str) -> Iterator[int]:
    """Its authentication port, for the time of the block. ``radius_db``: libpq's own words."""
    raddb = run_dir / "raddb"
    shutil.copytree(SHIPPED, raddb, symlinks=True)
    for name in ("mods-enabled/eap", "sites-enabled/inner-tunnel"):
        (raddb / name).unlink(missing_ok=True)
    sql = raddb / "mods-enabled/sql"
    sql.unlink(missing_ok=True)
    sql.symlink_to("../mods-available/sql")
    port = free_port()
    _change(
        raddb / "sites-available/default",
        (_EAP, ""),
        (_LISTEN, ""),
        (
            r"(?m)^server default \{$",
            f"server default {{\nlisten {{\ntype = auth\nipaddr = 127.0.0.1\nport = {port}\n}}",
        ),
    )
    _change(raddb / "clients.conf", (r"testing123", secret))
    _change(
        raddb / "mods-available/sql",
        (r'dialect = "sqlite"', 'dialect = "postgresql"'),
        (r'driver = "rlm_sql_null"', 'driver = "rlm_sql_postgresql"'),
        (r'radius_db = "radius"', f'radius_db = "{radius_db}"'),
    )
    _change(
        raddb / "radiusd.conf",
        (r"(?m)^\t(user|group) = freerad$", ""),
        (r"(?m)^raddbdir = .*", f"raddbdir = {raddb}"),
        (r"(?m)^logdir = .*", f"logdir = {run_dir}"),
        (r"(?m)^localstatedir = .*", f"localstatedir = {run_dir}"),
        (r"(?m)^run_dir = .*", f"run_dir = {run_dir}"),
        (r"reject_delay = 1", "reject_delay = 0"),
    )
    with running(raddb, run_dir):
        yield port


def _change(path: Path, *changes: tuple[str | re.Pattern[str], str]) -> None:
    words = path.read_text()
    for pattern, by in changes:
        words, times = re.subn(pattern, lambda _found, by=by: by, words)
        if not times:
            raise RuntimeError(f"{path} is not as Debian 12 ships it: nothing like {pattern!r}")
    path.write_text(words)
