"""What can go wrong while FreeRADIUS' rows are written: a branch of the tree in ``radius.errors``."""

from __future__ import annotations

from collections.abc import Iterable

from radius.errors import RadiusError


class ProjectionError(RadiusError):
    """The radius database could not be brought to what is wished."""

    code = "radius.projection_error"


class ForeignRows(ProjectionError):
    """Rows of that name are in the radius database and are not ours."""

    code = "radius.foreign_rows"

    def __init__(self, kind: str, name: str, tables: Iterable[str], *, is_anothers: bool = False) -> None:
        """``is_anothers``: Firstlight wrote them for another tenant."""
        self.kind = kind
        self.name = name
        self.tables = tuple(sorted(tables))
        self.is_anothers = is_anothers
        other = "another address" if kind == "nas" else "another name"
        instead = "let `firstlight nas adopt` take it over with its secret" if kind == "nas" else f"use {other}"
        super().__init__(
            f"The radius database has a {kind} {name} of another ISP, for which Firstlight wrote it. Nothing was"
            f" changed: use {other}."
            if is_anothers
            else f"The radius database already has a {kind} {name} in {', '.join(self.tables)} that Firstlight did not"
            f" write. Nothing was changed: remove those rows, or {instead}."
        )


class ProjectionRaced(ProjectionError):
    """What is wished changed faster than it could be carried out."""

    code = "radius.projection_raced"
    transient = True


class RadiusDatabaseUnavailable(ProjectionError):
    """The radius database does not answer."""

    code = "radius.database_unavailable"
    transient = True

    def __init__(self, reason: str, *, of_one: bool = False, elsewhere: bool = False) -> None:
        """``of_one``: it answers, but somebody else holds a row or a name that was asked for. ``elsewhere``: it is that
        of another FreeRADIUS, from which subscribers are taken over."""
        self.reason = reason
        self.of_one = of_one
        ours = f"The radius database does not answer ({reason}). Logins go on as FreeRADIUS can; try again."
        others = f"The database of the other FreeRADIUS does not answer ({reason}). Nothing was written; try again."
        super().__init__(others if elsewhere else ours)


class RadiusDatabaseUnfit(ProjectionError):
    """The radius database answers, but a table or a permission is missing."""

    code = "radius.database_unfit"

    def __init__(self, reason: str, *, elsewhere: bool = False) -> None:
        """``elsewhere``: it is that of another FreeRADIUS."""
        self.reason = reason
        whose = "The database of the other FreeRADIUS" if elsewhere else "The radius database"
        super().__init__(f"{whose} cannot be used as it is ({reason}).")
