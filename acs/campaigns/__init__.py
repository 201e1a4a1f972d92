"""A change brought to a group of CPEs: a few first, then batches, in a window, until too many fail.

``pacing`` decides what is next (pure), ``service`` is what an operator does with a campaign, ``turning`` carries it on
from tick to tick, ``targets`` says who is in the group, ``changes`` what is brought to a CPE and how it is seen to be
there. A campaign talks to nobody outside: it writes down what a CPE is to have, and convergence carries it over.
"""
