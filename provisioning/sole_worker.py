"""SQLite bears one worker a tenant: a lock beside its file, which the kernel lets go of however the process ends.

A second one would be DBOS' executor of the same name on the same file, take the segments that the first has under way
for its own of an earlier life, and walk them again at the same time.
"""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy.engine import URL

from provisioning.errors import ProvisioningError


class WorkerRunning(ProvisioningError):
    """Another worker moves this tenant's runs in this SQLite database."""

    code = "provisioning.worker_running"

    def __init__(self, database: Path, tenant_id: str) -> None:
        self.database = database
        self.tenant_id = tenant_id
        super().__init__(
            f"Another worker moves the runs of {tenant_id} in {database} already, and SQLite bears one; nothing was "
            "started. Stop that one first; for more than one worker, use PostgreSQL."
        )


@contextmanager
def sole_worker(url: URL, *, tenant_id: str) -> Iterator[None]:
    """Holds the tenant's lock of an SQLite file for the time of the block; does nothing on PostgreSQL.

    Raises: WorkerRunning.
    """
    if url.get_backend_name() != "sqlite" or url.database in (None, "", ":memory:"):
        yield
        return
    database = Path(str(url.database)).absolute()
    with database.with_name(f"{database.name}.worker-{tenant_id}.lock").open("ab") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise WorkerRunning(database, tenant_id) from error
        yield
