"""Has a CPE taken, in its very first session, what was handed out to it in there (``acs.first_sessions``)?"""

from __future__ import annotations

from acs.convergence.desired_states import Desired
from acs.convergence.seen_devices import SeenDevice, read_leaves
from acs.nbi.client import NbiClient


async def took_in_first_session(nbi: NbiClient, desired: Desired, seen: SeenDevice) -> bool:
    """Whether the ACS proves it for this very wish, of which no task was queued yet; nothing is sent.

    The tag alone may be left of an earlier binding. Our script writes the secrets, which nobody else reads or writes:
    their stamps say that it ran after the CPE's BOOTSTRAP. Without secrets nothing says so, and it is False.

    Raises: NbiError.
    """
    was_told = desired.handed_out_revision == desired.revision and desired.queued_at is None
    bootstrap, located = seen["last_bootstrap"], desired.located(seen["tags"])
    if not was_told or desired.tag not in seen["tags"] or bootstrap is None or located is None:
        return False
    secret = [setting.path for setting in located.settings if setting.secret]
    leaves = await read_leaves(nbi, seen["device_id"], (), secret) if secret else None
    stamps = [leaves[path].stamp if path in leaves else None for path in secret] if leaves else []
    return bool(stamps) and all(stamp is not None and stamp >= bootstrap for stamp in stamps)
