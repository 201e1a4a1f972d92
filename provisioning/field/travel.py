"""How long the way between two places takes: as the crow flies, at the speed that vans make. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass

from provisioning.intake import Faults

EARTH_KM = 6371.0088  # the mean radius (IUGG)
DEFAULT_KMH = 40.0
"""Of a van, roads' bends included."""


@dataclass(frozen=True)
class Place:
    """Coordinates in degrees (WGS 84)."""

    latitude: float
    longitude: float


def place_of(latitude: float | None, longitude: float | None) -> Place | None:
    """A place, where both are known."""
    return None if latitude is None or longitude is None else Place(latitude, longitude)


def read_place(faults: Faults, latitude: object, longitude: object, *, prefix: str = "") -> Place | None:
    """A place from what was sent, or faults: both coordinates or none."""
    if latitude is None and longitude is None:
        return None
    found = []
    for name, value, most in (("latitude", latitude, 90), ("longitude", longitude, 180)):
        field = f"{prefix}{name}"
        if value is None:
            faults.add(field, "is missing beside the other coordinate")
        elif isinstance(value, bool) or not isinstance(value, int | float) or not -most <= value <= most:
            faults.add(field, f"is not from -{most} to {most} degrees")
        else:
            found.append(float(value))
    return Place(*found) if len(found) == 2 else None


def distance_km(here: Place, there: Place) -> float:
    """The great-circle distance by the haversine formula."""
    lat, other = math.radians(here.latitude), math.radians(there.latitude)
    turn = math.radians(there.longitude - here.longitude)
    half = math.sin((other - lat) / 2) ** 2 + math.cos(lat) * math.cos(other) * math.sin(turn / 2) ** 2
    return 2 * EARTH_KM * math.asin(math.sqrt(min(1.0, half)))


def minutes_between(here: Place | None, there: Place | None, *, kmh: float = DEFAULT_KMH) -> int | None:
    """Whole minutes, rounded up; None where a place isn't known."""
    if here is None or there is None:
        return None
    return math.ceil(round(distance_km(here, there) / kmh * 60, 6))
