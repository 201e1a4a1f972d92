"""Files that come after others have: what they say of what is here already."""

from __future__ import annotations

import pytest

from ipam import ExportShape
from tests.ipam.conftest import Network, one_pool

pytestmark = pytest.mark.both_databases


@pytest.mark.parametrize("how", ["drain", "exclude"])
async def test_what_cools_off_where_nobody_is_given_it_may_stand_in_netbox_s_later_lists(
    network: Network, how: str
) -> None:
    file = "value,state,customer_id,username,location,plan,since,available_at\n"
    for value in ("100.64.0.5", "2001:db8:2000:500::/56"):
        file += f"{value},quarantine,5,ada,LOC-1,fiber-100,2029-12-31T00:00:00Z,2030-01-03T00:00:00Z\n"
    await network.bring_in(file)
    await network.keep(how, pool="cgnat", span="100.64.0.5-100.64.0.6", note="for a while")
    await network.keep(how, pool="pd", span="2001:db8:2000:500::/56", note="for a while")
    before = await network.export()

    shapes: tuple[ExportShape, ...] = ("netbox-addresses", "netbox-prefixes")
    for shape in shapes:
        counts = await network.bring_in(await network.export(shape=shape), "netbox")
        assert {name: number for name, number in counts.items() if number} == {"lines": 1, "unchanged": 1}
    free = "ip address,description\n100.64.0.5,printer\n100.64.0.6,scanner\n"
    assert (await network.bring_in(free, "phpipam"))["unchanged"] == 2

    assert await network.export() == before
    if how == "drain":
        named = "ip address,username\n100.64.0.6,eve\n"
        drained = "100.64.0.6 lies in what is being drained of pool cgnat (for a while)"
        assert await network.faults(named, "phpipam") == {2: [drained]}
        assert await network.faults("value,state\n100.64.0.6,reserved\n") == {2: [drained]}
    assert await network.violations() == []
