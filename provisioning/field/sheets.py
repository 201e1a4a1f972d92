"""Job sheets: what a technician writes down at a visit, act by act. An act that comes twice is one act.

Each act carries the key that the technician's page gave it when it was made, perhaps offline. What it changes it may
say with what stood there when it was made (``seen``): where somebody has written another thing since, that is a
conflict, and is told instead of being written over.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import func, insert, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession
from typing_extensions import TypedDict

from provisioning.errors import ChangeRaced, RequestConflict
from provisioning.field.optics import HIGHEST_READING, LEAST_DBM, LOWEST_READING, MOST_DBM, Verdict, verdict_on
from provisioning.field.record_tables import ActKind, JobSheet, VisitAct, VisitPhoto
from provisioning.field.work_errors import PhotosFull, PhotoUnknown, SheetChanged
from provisioning.intake import Clock, Faults

FIELDS = ("splitter", "drop_label", "optical_dbm", "note", "signed_by")
LONGEST_LABEL = 100
LONGEST_NOTE = 4000
MOST_PHOTOS = 50
"""Of one visit: a technician's token fills no disk."""
CLOCKS_DIFFER = timedelta(hours=1)
"""By so much a device's clock may be ahead of ours."""


class PhotoRecord(TypedDict):
    """One picture that was taken at a visit; its file is named by its hash."""

    photo_id: int
    purpose: str
    sha256: str
    media_type: str
    size_bytes: int
    caption: str | None


class SheetRecord(TypedDict):
    """The record of a visit. ``optical_verdict``: of the reading against its limits, None without a reading."""

    visit_id: int
    splitter: str | None
    drop_label: str | None
    optical_dbm: float | None
    optical_verdict: Verdict | None
    optical_limits_dbm: tuple[float, float]
    note: str | None
    signed_by: str | None
    done_at: datetime | None
    done_by: str | None
    done_reason: str | None
    photos: list[PhotoRecord]


class Sheets:
    """The job sheets of one ISP. Writes only ``db``; the caller commits, and holds the visit."""

    def __init__(self, db: AsyncSession, *, tenant_id: str, now: Clock) -> None:
        self._db = db
        self._tenant_id = tenant_id
        self._now = now

    async def sheet(self, visit_id: int) -> SheetRecord:
        """What is written down of this visit so far."""
        row = await self._db.get(JobSheet, visit_id, populate_existing=True)
        return _record(visit_id, row, await self._photos(visit_id))

    async def known(self, *, visit_id: int, key: str, kind: ActKind, content: Mapping[str, Any]) -> bool:
        """Whether this very act was taken already.

        Raises: RequestConflict if another one has its key.
        """
        kept = await self._db.scalar(select(VisitAct).where(VisitAct.tenant_id == self._tenant_id, VisitAct.key == key))
        if kept is None:
            return False
        if (kept.visit_id, kept.kind, kept.content) != (visit_id, kind, dict(content)):
            raise RequestConflict(key, f"an act at visit {kept.visit_id}")
        return True

    async def keep(
        self, *, visit_id: int, key: str, kind: ActKind, content: Mapping[str, Any], made_at: datetime, by: str
    ) -> None:
        """The act was taken. Raises: ChangeRaced if it came twice at the same moment."""
        values = {"visit_id": visit_id, "key": key, "kind": kind, "content": dict(content), "by": by}
        try:
            async with self._db.begin_nested():
                self._db.add(VisitAct(tenant_id=self._tenant_id, made_at=made_at, received_at=self._now(), **values))
        except IntegrityError as exc:
            raise ChangeRaced from exc

    async def write(self, visit_id: int, changes: Mapping[str, Any], seen: Mapping[str, Any]) -> SheetRecord:
        """Writes these fields down.

        Raises: InvalidRequest (all faults), SheetChanged (somebody else has written what wasn't ``seen``).
        """
        plain = read_changes(changes)
        row = await self._row(visit_id)
        changed = [
            name
            for name, value in plain.items()
            if name in seen and getattr(row, name) != seen[name] and getattr(row, name) != value
        ]
        if changed:
            raise SheetChanged(visit_id, {name: getattr(row, name) for name in changed})
        for name, value in plain.items():
            setattr(row, name, value)
        await self._db.flush()
        return await self.sheet(visit_id)

    async def done(self, visit_id: int, *, by: str, reason: str | None) -> SheetRecord:
        """The technician has left the work as done; ``reason``: although not everything was seen to work."""
        row = await self._row(visit_id)
        row.done_at, row.done_by, row.done_reason = self._now(), by, reason
        await self._db.flush()
        return await self.sheet(visit_id)

    async def refuse_if_full(self, visit_id: int, sha256: str) -> None:
        """Raises: PhotosFull, if this would be one picture too many; one that is known already isn't."""
        others = select(func.count()).select_from(VisitPhoto).where(VisitPhoto.visit_id == visit_id)
        same = others.where(VisitPhoto.sha256 == sha256)
        if (await self._db.scalar(others) or 0) >= MOST_PHOTOS and not await self._db.scalar(same):
            raise PhotosFull(visit_id, MOST_PHOTOS)

    async def add_photo(
        self, *, visit_id: int, purpose: str, sha256: str, media_type: str, size_bytes: int, caption: str | None
    ) -> PhotoRecord:
        """A picture whose file is kept. The same picture again is the same one. Raises: PhotosFull, ChangeRaced."""
        await self.refuse_if_full(visit_id, sha256)
        same = select(VisitPhoto).where(VisitPhoto.visit_id == visit_id, VisitPhoto.sha256 == sha256)
        row: VisitPhoto | None = await self._db.scalar(same)
        if row is None:
            values = {"purpose": purpose, "sha256": sha256, "media_type": media_type, "size_bytes": size_bytes}
            try:
                async with self._db.begin_nested():
                    row = await self._db.scalar(
                        insert(VisitPhoto)
                        .values(
                            tenant_id=self._tenant_id,
                            visit_id=visit_id,
                            caption=caption,
                            received_at=self._now(),
                            **values,
                        )
                        .returning(VisitPhoto)
                    )
            except IntegrityError as exc:
                raise ChangeRaced from exc
        assert row is not None
        return _photo(row)

    async def photo(self, visit_id: int, photo_id: int) -> PhotoRecord:
        """One picture of this visit. Raises: PhotoUnknown."""
        row = await self._db.get(VisitPhoto, photo_id)
        if row is None or row.visit_id != visit_id:
            raise PhotoUnknown(visit_id, photo_id)
        return _photo(row)

    async def _photos(self, visit_id: int) -> Sequence[VisitPhoto]:
        found = await self._db.scalars(
            select(VisitPhoto)
            .where(VisitPhoto.tenant_id == self._tenant_id, VisitPhoto.visit_id == visit_id)
            .order_by(VisitPhoto.id)
        )
        return found.all()

    async def _row(self, visit_id: int) -> JobSheet:
        row = await self._db.get(JobSheet, visit_id, populate_existing=True)
        if row is None:
            row = JobSheet(visit_id=visit_id, tenant_id=self._tenant_id)
            self._db.add(row)
        return row


def read_changes(changes: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a sheet in their plain form. Raises: InvalidRequest (all faults)."""
    faults = Faults("The record")
    plain: dict[str, Any] = {}
    for name, value in changes.items():
        if name not in FIELDS:
            faults.add(name, f"is none of {', '.join(FIELDS)}")
        elif name == "optical_dbm":
            plain[name] = _reading(faults, value)
        elif name == "note":
            plain[name] = None if value is None else faults.text(name, value, longest=LONGEST_NOTE)
        else:
            plain[name] = faults.optional_line(name, value, longest=LONGEST_LABEL)
    faults.refuse_if_any()
    return plain


def read_made_at(faults: Faults, made_at: object, now: datetime) -> datetime:
    """When an act was made, by its device's clock; one that is ahead is a fault: it would put acts in a wrong order."""
    moment = faults.moment("made_at", made_at)
    if moment is not None and moment > now + CLOCKS_DIFFER:
        faults.add("made_at", "lies more than an hour ahead: set the device's clock")
    return moment or now


def _reading(faults: Faults, value: object) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not LOWEST_READING <= value <= HIGHEST_READING:
        faults.add("optical_dbm", f"is not from {LOWEST_READING:g} to {HIGHEST_READING:g} dBm")
        return None
    return float(value)


def _record(visit_id: int, row: JobSheet | None, photos: Sequence[VisitPhoto]) -> SheetRecord:
    dbm = row.optical_dbm if row else None
    return SheetRecord(
        visit_id=visit_id,
        splitter=row.splitter if row else None,
        drop_label=row.drop_label if row else None,
        optical_dbm=dbm,
        optical_verdict=None if dbm is None else verdict_on(dbm),
        optical_limits_dbm=(LEAST_DBM, MOST_DBM),
        note=row.note if row else None,
        signed_by=row.signed_by if row else None,
        done_at=row.done_at if row else None,
        done_by=row.done_by if row else None,
        done_reason=row.done_reason if row else None,
        photos=[_photo(photo) for photo in photos],
    )


def _photo(row: VisitPhoto) -> PhotoRecord:
    return PhotoRecord(
        photo_id=row.id,
        purpose=row.purpose,
        sha256=row.sha256,
        media_type=row.media_type,
        size_bytes=row.size_bytes,
        caption=row.caption,
    )
