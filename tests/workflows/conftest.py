from __future__ import annotations

import pytest

from provisioning.database import Database
from tests.workflows.toy import Toy, make_toy


@pytest.fixture
async def toy(database: Database) -> Toy:
    return await make_toy(database)
