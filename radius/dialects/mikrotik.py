"""MikroTik RouterOS: ``Mikrotik-Rate-Limit``, "rx/tx" seen from the router.

The router receives what the subscriber sends, so the first value is the upload (RouterOS documentation, RADIUS client:
"rx-rate[/tx-rate]", from the point of view of the router). ``k`` is 1000 bit/s.
"""

from __future__ import annotations

from collections.abc import Sequence

from radius.dialects.dialect import Dialect, Rate
from radius.encoder import Value


def _rate_attributes(rate: Rate) -> Sequence[tuple[str, Value]]:
    return (("Mikrotik-Rate-Limit", f"{rate.upload_kbps}k/{rate.download_kbps}k"),)


MIKROTIK = Dialect(name="mikrotik", rate_attributes=_rate_attributes)
