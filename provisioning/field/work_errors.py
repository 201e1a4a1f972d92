"""What is refused of the work at a visit: its record, its photos, its *done*, and what vans hold. The tree is drawn in
``provisioning.errors``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from provisioning.field.errors import FieldError, some


class StockElsewhere(FieldError):
    """A serial is in somebody else's van."""

    code = "field.stock_elsewhere"

    def __init__(self, vans: Mapping[str, int]) -> None:
        self.vans = dict(vans)
        told = some([f"{serial} (technician {whose})" for serial, whose in vans.items()])
        super().__init__(f"In other vans already: {told}. Book them out there first.")


class StockInstalled(FieldError):
    """A serial is at a customer's."""

    code = "field.stock_installed"

    def __init__(self, visits: Mapping[str, int | None]) -> None:
        self.visits = dict(visits)
        told = some([f"{serial} (visit {visit_id})" for serial, visit_id in visits.items()])
        super().__init__(f"Installed at customers' by these visits: {told}. Say why it is in a van all the same.")


class StockMissing(FieldError):
    """A serial isn't in this van."""

    code = "field.stock_missing"

    def __init__(self, technician_id: int, serials: Sequence[str]) -> None:
        self.technician_id = technician_id
        self.serials = list(serials)
        told = some(self.serials)
        super().__init__(f"Not in the van of technician {technician_id}: {told}. Nothing was booked out.")


class StockUnknown(FieldError):
    """No van has ever had this serial."""

    code = "field.stock_unknown"

    def __init__(self, serial: str) -> None:
        self.serial = serial
        super().__init__(f"No van has ever had {serial}.")


class SheetChanged(FieldError):
    """Somebody else has written into the visit's record meanwhile."""

    code = "field.sheet_changed"

    def __init__(self, visit_id: int, now: Mapping[str, Any]) -> None:
        self.visit_id = visit_id
        self.now = dict(now)
        told = "; ".join(f"{name} is {value!r}" for name, value in now.items())
        super().__init__(f"The record of visit {visit_id} says something else by now: {told}. Look, and decide which.")


class NotDone(FieldError):
    """Not everything has been seen to work yet."""

    code = "field.not_done"

    def __init__(self, visit_id: int, missing: Mapping[str, str]) -> None:
        self.visit_id = visit_id
        self.missing = dict(missing)
        told = "; ".join(f"not {name}: {why}" for name, why in missing.items())
        super().__init__(f"Visit {visit_id} isn't done ({told}); wait for it, or say why you leave it so.")


class PhotoUnknown(FieldError):
    """No such photo of this visit."""

    code = "field.photo_unknown"

    def __init__(self, visit_id: int, photo_id: int) -> None:
        self.photo_id = photo_id
        super().__init__(f"Visit {visit_id} has no photo {photo_id}.")


class PhotosFull(FieldError):
    """The visit has as many photos as are kept of one."""

    code = "field.photos_full"

    def __init__(self, visit_id: int, most: int) -> None:
        self.visit_id = visit_id
        super().__init__(f"Visit {visit_id} has {most} photos already; more than that aren't kept of one visit.")
