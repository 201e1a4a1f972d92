"""The handful of presets and scripts that an ACS needs from us, whatever the number of its CPEs.

A preset costs each session some microseconds and each change of it a reload in every worker, so there is none per
customer: what a CPE should have stands in ``acs_device``. Ours begin with ``firstlight_``; others are never touched.

* ``baseline``: what there should be. To add a script, put it into ``acs/provisions/`` and name the preset that runs it.
* ``differences``: what an ACS has instead.
* ``installing``: puts it there, reads it back, sees that CPEs go on reporting, and takes it back if they do not.
"""
