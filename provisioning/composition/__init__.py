"""Where the parts of an appliance are put together, one floor a module; ``provisioning.bootstrap`` is the whole.

``parts`` turns settings into databases, keys and readers. ``services`` binds what reads and writes rows to a
transaction, ``desks`` the doors that start and tell journeys, ``views`` what looks at everything at once. What the
clock does by itself stands in ``provisioning.bootstrap``. Settings end here: no part is handed them.
"""
