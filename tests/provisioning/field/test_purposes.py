"""That the journeys know what stands here of them: a run is found, and told, by these names."""

from __future__ import annotations

import pytest

from provisioning.field import JOINING, VISIT, Joining
from workflows import DEFINITIONS


@pytest.mark.parametrize("joining", JOINING.values(), ids=JOINING.keys())
def test_a_journey_that_joins_visits_has_the_step_the_words_and_the_fact(joining: Joining) -> None:
    versions = [each for (journey, _), each in DEFINITIONS.items() if journey == joining.journey]
    assert versions
    for definition in versions:
        assert joining.step in [step.name for step in definition.steps]
        told_of = {getattr(step, "signal", None) for step in definition.steps}
        assert told_of >= {joining.signal, VISIT}
        assert joining.known_by in definition.adapter.json_schema()["properties"]
