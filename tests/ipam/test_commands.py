"""Commands that messages propose are what is meant when they are typed, whatever a pool is called."""

from __future__ import annotations

import re

import pytest

from ipam import EstateRefused, RequestInvalid
from ipam.commands import command_about, command_to_move
from tests.ipam.conftest import Network, one_pool
from tests.ipam.lookup.test_lookup import look
from tests.support.command_line import parsed

NAMES = ("cgnat", "-x", "--help", "--reason", "a b", "it's", "$(reboot)")


@pytest.mark.parametrize("name", NAMES)
def test_a_command_is_about_the_pool_that_it_names(name: str) -> None:
    assert parsed(command_about("usage", name))["pool"] == name
    include = parsed(command_about("include", name, "192.0.2.1-192.0.2.9", options="--reason WHY"))
    assert (include["pool"], include["span"], include["reason"]) == (name, "192.0.2.1-192.0.2.9", "WHY")
    undrain = parsed(command_about("undrain", name, options="--reason WHY"))
    assert (undrain["pool"], undrain["reason"]) == (name, "WHY")


@pytest.mark.parametrize("name", NAMES)
def test_a_command_that_moves_a_service_names_where_it_goes(name: str) -> None:
    move = parsed(command_to_move(7, name, options="--ip 192.0.2.9"))
    assert (move["service"], move["to"], move["ip"], move["reason"]) == (7, name, "192.0.2.9", "WHY")


async def test_commands_about_a_pool_that_is_called_like_an_option_can_be_typed(empty: Network) -> None:
    described = one_pool()
    described["pool"][0]["name"] = "-x's"
    await empty.apply(described)
    await empty.keep("exclude", pool="-x's", span="192.0.2.4-192.0.2.5", note="ours")
    await empty.keep("drain", pool="-x's", note="not yet")
    another = {**described, "pool": [{**described["pool"][0], "network": "192.0.2.0/27"}]}

    with pytest.raises(EstateRefused) as refused:
        await empty.apply(another)
    include, undrain = [parsed(each) for each in re.findall(r"`(firstlight [^`]*)`", str(refused.value))]
    assert (include["pool"], include["span"], undrain["pool"]) == ("-x's", "192.0.2.4/31", "-x's")
    with pytest.raises(RequestInvalid) as looked_up:
        await look(empty, "find", "-x's")
    usage, history = [parsed(each) for each in re.findall(r"`(firstlight [^`]*)`", str(looked_up.value))]
    assert (usage["pool"], history["pool"]) == ("-x's", "-x's")
