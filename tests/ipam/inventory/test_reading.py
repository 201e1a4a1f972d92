"""What an import asks the database about, of what stands in a file."""

from __future__ import annotations

import pytest

from ipam import ImportSource
from tests.ipam.conftest import Network

NEVER = "username: FreeRADIUS never looks up a name like 'a\\x00b'"
NOWHERE = "location: no premise is known as 'a\\x00b'"
OWN = "value,state,customer_id,username,location,plan\n"
REPLIES = "username,attribute,op,value\n"
FILES: dict[str, tuple[str, ImportSource, str, dict[int, list[str]]]] = {
    "of_ours": (
        f"{OWN}100.64.0.5,assigned,5,a\0b,a\0b,fiber-100\n100.64.0.6,reserved,,,a\0b,\n",
        "csv",
        "username\n",
        {
            2: [NEVER, NOWHERE],
            3: ["whose it is takes customer_id, location, plan: customer_id, plan is missing", NOWHERE],
        },
    ),
    "of_radreply": (f"{REPLIES}a\0b,Framed-IP-Address,:=,100.64.0.5\n", "radreply", "username\n", {2: [NEVER]}),
    "with_a_mapping": (
        f"{REPLIES}ada,Framed-IP-Address,:=,100.64.0.5\n",
        "radreply",
        "username,customer_id,location,plan\nada,5,a\0b,fiber-100\n",
        {2: [NOWHERE]},
    ),
}


@pytest.mark.parametrize("which", FILES)
async def test_a_name_in_which_there_is_a_nul_is_a_fault_of_its_line(network: Network, which: str) -> None:
    text, source, mapping, faults = FILES[which]
    assert await network.faults(text, source, mapping) == faults
