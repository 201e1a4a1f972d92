"""The truth about one subscriber: what we want, what RADIUS has, what the session shows, what the CPE reports.

``TruthDesk`` asks every side and says what differs (``comparing`` and ``differing``: pure functions of what was found);
a side that can't be asked is told as not known, with the reason. ``previews`` says what an act would touch before it is
taken, ``outcomes`` what came of it by proof, ``Timeline`` all that has happened.

To add a matter: a name in ``facts.Matter``, a function in ``comparing`` that says of it what each side has, and one
line in ``comparisons``.
"""

from provisioning.truth.desk import SubscriberMoved, TruthDesk
from provisioning.truth.facts import Comparison, Difference, Fact, FixName, Matter, Side, Truth
from provisioning.truth.outcomes import Outcome, Standing, of_change, of_operation
from provisioning.truth.previews import ACTS, Act, ActPreview, acts_of, preview
from provisioning.truth.timeline import Entry, Timeline, TimelinePage

__all__ = [
    "ACTS",
    "Act",
    "ActPreview",
    "Comparison",
    "Difference",
    "Entry",
    "Fact",
    "FixName",
    "Matter",
    "Outcome",
    "Side",
    "Standing",
    "SubscriberMoved",
    "Timeline",
    "TimelinePage",
    "Truth",
    "TruthDesk",
    "acts_of",
    "of_change",
    "of_operation",
    "preview",
]
