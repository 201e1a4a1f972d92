"""What needs a person now, the worst first, in sentences; or that all is quiet, with the time of the look.

``AttentionDesk`` asks every source, of what may be seen (``provisioning.sight``): ``work`` looks at runs, visits,
partners' host names and the last recorded check, ``network`` makes items of what the packages tell of NASes, pools,
CPEs and messages, and ``outages`` says where lines are down, with what that explains folded into it. No check is run
and nobody outside is asked for a look.

To add a source: a name in ``items.AttentionKind`` (its place there is its place in the order), a function that makes
items of what a package tells, and one line in ``AttentionDesk``, under the permission that its noun takes.
"""

from provisioning.attention.desk import AttentionDesk
from provisioning.attention.items import Attention, AttentionKind, Item, Target, TargetNoun, Urgency
from provisioning.attention.network import WAITING_STATES
from provisioning.attention.outages import LostLine, Outage, outages
from provisioning.attention.work import ABOUT_MONEY, Work

__all__ = [
    "ABOUT_MONEY",
    "WAITING_STATES",
    "Attention",
    "AttentionDesk",
    "AttentionKind",
    "Item",
    "LostLine",
    "Outage",
    "Target",
    "TargetNoun",
    "Urgency",
    "Work",
    "outages",
]
