"""What the forms of ``/dispatch/slots`` ask for and send, read with all their faults."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from provisioning.api import Call
from provisioning.console.dispatch import moment_by
from provisioning.console.doors import Form, form_of
from provisioning.console.pages import today
from provisioning.errors import Fault
from provisioning.field import Place, VisitRecord
from provisioning.intake import Faults
from workflows import FIRST_YEAR, LAST_YEAR, NO_DAY

MOST_DAYS = 31


@dataclass(frozen=True)
class Question:
    """What is looked for: from which day on, so many days, by whom (None: anybody)."""

    day: date
    days: int
    technician_id: int | None


@dataclass(frozen=True)
class Booking:
    """What a form has chosen."""

    technician_id: int
    starts_at: datetime
    job: str
    address: str
    place: Place | None
    customer_id: int
    order_id: int | None
    request_id: str | None

    @property
    def facts(self) -> dict[str, Any]:
        """As the desks take them."""
        return {
            "technician_id": self.technician_id,
            "starts_at": self.starts_at,
            "job": self.job,
            "latitude": self.place.latitude if self.place else None,
            "longitude": self.place.longitude if self.place else None,
        }


def read_question(call: Call, faults: Faults, day: str, days: str, technician: str) -> Question:
    wanted, many = today(call), read_number(faults, "days", days) or 7
    if day:
        try:
            wanted = date.fromisoformat(day)
        except ValueError:
            faults.add("day", NO_DAY)
    if not FIRST_YEAR <= wanted.year <= LAST_YEAR:
        faults.add("day", f"is in the year {wanted.year}, not in {FIRST_YEAR} to {LAST_YEAR}")
    if many > MOST_DAYS:
        faults.add("days", f"are {many}; 1 to {MOST_DAYS} are looked at")
    return Question(wanted, many, read_number(faults, "technician", technician))


def read_booking(call: Call, *, with_customer: bool = False) -> Booking:
    """What the form has chosen. Raises: InvalidRequest (all faults)."""
    form, faults = form_of(call), Faults("The visit")
    who, at = _chosen(call, faults, form)
    job, place = faults.line("job", form.text("job")), read_coordinates(faults, form.text("place"))
    customer, order = (
        read_number(faults, "customer", form.text("customer")),
        read_number(faults, "order", form.text("order")),
    )
    if with_customer and customer is None:
        faults.add_all([Fault("customer", "is missing")])
    faults.refuse_if_any()
    assert who is not None and at is not None, "what is missing has left a fault"
    nonce = form.text("nonce")
    return Booking(
        technician_id=who,
        starts_at=at,
        job=job,
        address=form.text("address"),
        place=place,
        customer_id=customer or 0,
        order_id=order,
        # the same button of the same page books once
        request_id=f"console/{nonce[:20]}/{who}/{at.isoformat()}" if nonce else None,
    )


def _chosen(call: Call, faults: Faults, form: Form) -> tuple[int | None, datetime | None]:
    """By the button of an offer, or typed: to whom, and when."""
    if offer := form.text("offer"):
        who, _, told = offer.partition("@")
        try:
            moment = datetime.fromisoformat(told)
        except ValueError:
            moment = None
        if moment is None or moment.tzinfo is None or not FIRST_YEAR <= moment.year <= LAST_YEAR:
            faults.add("offer", "is none that was shown")
            moment = None
        return read_number(faults, "technician", who, must=True), moment
    at = moment_by(form.text("at"), call.appliance.zone)
    if isinstance(at, Fault):
        faults.add_all([at])
    return read_number(faults, "technician", form.text("technician"), must=True), None if isinstance(at, Fault) else at


def read_number(faults: Faults, field: str, text: str, *, must: bool = False) -> int | None:
    text = text.strip()
    if not text:
        if must:
            faults.add(field, "is missing")
        return None
    if not (text.isascii() and text.isdigit() and len(text) < 16 and int(text) > 0):
        faults.add(field, "is no number, as 7 is one")
        return None
    return int(text)


def read_coordinates(faults: Faults, text: str) -> Place | None:
    """A place as maps tell it: ``52.5163, 13.3777``; None where nothing was typed."""
    if not text.strip():
        return None
    latitude, _, longitude = text.partition(",")
    try:
        place = Place(float(latitude), float(longitude))
    except ValueError:
        faults.add("place", "is no latitude and longitude, as 52.5163, 13.3777 are")
        return None
    if not (-90 <= place.latitude <= 90 and -180 <= place.longitude <= 180):
        faults.add("place", "is not from -90 to 90 and -180 to 180 degrees")
        return None
    return place


def coordinates_of(visit: VisitRecord | None) -> str:
    """Where it is, as it would be typed."""
    if visit is None or visit["latitude"] is None or visit["longitude"] is None:
        return ""
    return f"{visit['latitude']}, {visit['longitude']}"
