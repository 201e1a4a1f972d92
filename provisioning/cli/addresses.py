"""``firstlight addresses``: the pools, who has an address or had it, and what operators do to addresses under way.

The commands stand in modules of their own, by what they are about; each has an ``add_to``.
"""

from __future__ import annotations

import typer

from provisioning.cli import (
    addresses_files,
    addresses_looks,
    addresses_nat,
    addresses_pools,
    addresses_services,
    addresses_upkeep,
)

app = typer.Typer(no_args_is_help=True, help="Addresses and VLANs: pools, who has what, and upkeep.")

addresses_pools.add_to(app)
addresses_looks.add_to(app)
addresses_upkeep.add_to(app)
addresses_services.add_to(app)
addresses_nat.add_to(app)
addresses_files.add_to(app)
