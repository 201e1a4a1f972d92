"""What every table of this floor shares: the declarative base, aware UTC times (the engine's), the tenant column.

``ProvisioningBase.metadata`` knows the tables of the packages that have been imported; ``provisioning/migrations``
imports them all. Constraint names follow one convention, so that a migration can name what it drops on both databases.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, ClassVar

from sqlalchemy import BigInteger, Integer, MetaData, String
from sqlalchemy.orm import DeclarativeBase, mapped_column

from workflows import UtcDateTime

NAMING_CONVENTION = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}


# SQLite counts up by itself only a column that is exactly INTEGER.
Identity = BigInteger().with_variant(Integer(), "sqlite")

RowId = Annotated[int, mapped_column(Identity, primary_key=True, autoincrement=True)]
"""A row's own number, given by the database."""

Reference = Annotated[int, mapped_column(Identity)]
"""Another row's number (a customer's, a service's); give the foreign key beside it where the row is this floor's."""

TenantId = Annotated[str, mapped_column(String(64))]


class ProvisioningBase(DeclarativeBase):
    """Tables of the provisioning floor. Every one of them has ``tenant_id: Mapped[TenantId]``."""

    metadata = MetaData(naming_convention=NAMING_CONVENTION)
    type_annotation_map: ClassVar[dict[Any, Any]] = {datetime: UtcDateTime()}
