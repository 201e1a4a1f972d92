"""Has a CPE taken, in its very first session, what was handed out to it in there (``acs.first_sessions``)?"""

from __future__ import annotations

from acs.convergence.desired_states import Desired
from acs.convergence.script_task import hand_out_tag
from acs.convergence.seen_devices import SeenDevice, read_leaves
from acs.nbi.client import NbiClient


async def took_in_first_session(nbi: NbiClient, desired: Desired, seen: SeenDevice) -> bool:
    """Whether the ACS proves it for this very wish, which the CPE is not known to have taken before and of which no
    task was queued yet; nothing is sent.

    The tag of the revision may be left of an earlier binding; that of the hand-out is set for this one alone, and only
    when the CPE has taken it. It is the ACS's memory, so that a CPE may have forgotten since: the secrets, which our
    script alone writes, must have stamps of after its BOOTSTRAP. Without secrets nothing says so, and it is False.

    Raises: NbiError.
    """
    if desired.handed_out_at is None or desired.handed_out_revision != desired.revision:
        return False
    if desired.queued_at is not None or desired.applied_at is not None:
        return False  # it is given them again, whatever was handed out once
    bootstrap, located = seen["last_bootstrap"], desired.located(seen["tags"])
    proven = {desired.tag, hand_out_tag(desired.handed_out_at)} <= set(seen["tags"])
    if not proven or bootstrap is None or located is None:
        return False
    secret = [setting.path for setting in located.settings if setting.secret]
    leaves = await read_leaves(nbi, seen["device_id"], (), secret) if secret else None
    stamps = [leaves[path].stamp if path in leaves else None for path in secret] if leaves else []
    return bool(stamps) and all(stamp is not None and stamp >= bootstrap for stamp in stamps)
