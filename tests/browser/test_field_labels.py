"""What the technician's page takes for a serial number: of a label's codes, and of what is typed."""

from __future__ import annotations

import pytest
from playwright.async_api import expect

from provisioning.field import normalise_serial
from tests.support.browser import Machine
from tests.support.lab import JourneyLab
from tests.support.labels import ean_of, label_of
from tests.support.technician import PICTURE, open_day, unfold, visited_today

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_a_label_is_read_from_its_photo_offline_and_what_is_no_label_is_told(
    lab: JourneyLab, machine: Machine
) -> None:
    _run, house, login, visit_id = await visited_today(lab)
    async with machine.looker() as tess:
        job = await open_day(tess, login, visit_id)
        label = await label_of(tess.page, house.serial)
        await tess.page.context.set_offline(True)
        await tess.page.reload()
        form = await unfold(job, "scan")
        await form.get_by_label("Or a photo").set_input_files(PICTURE)
        await expect(form.get_by_role("alert")).to_contain_text("No code was found")
        await form.get_by_label("Or a photo").set_input_files(label)
        await expect(form.get_by_label("Serial number")).to_have_value(house.serial)


READ = "texts => texts.map(each => field.serialIn(each)).map(({ sure, likely }) => [sure, likely])"


@pytest.mark.second_half
@pytest.mark.either_database
async def test_of_a_label_s_codes_the_serial_number_is_taken_whole_and_no_other_code(
    lab: JourneyLab, machine: Machine
) -> None:
    _run, _house, login, visit_id = await visited_today(lab)
    labels = [
        ["A4:B1:C1:00:11:22", "HG8245", "S/N: HWTC4A2B9C01"],
        ["GPON SN: 48575443-4A2B9C01", "A4B1C1001122"],
        ["A4B1C1001122", "SN12345678901"],
        ["HG8245", "1234567890123"],
        ["AABBCC001122"],
        ["https://vendor.example/ont"],
    ]
    async with machine.looker() as tess:
        job = await open_day(tess, login, visit_id)
        assert await tess.page.evaluate(READ, labels) == [
            ["HWTC4A2B9C01", None],
            ["48575443-4A2B9C01", "48575443-4A2B9C01"],
            [None, "SN12345678901"],
            [None, None],
            [None, "AABBCC001122"],
            [None, None],
        ]
        form = await unfold(job, "scan")
        await form.get_by_label("Or a photo").set_input_files(await ean_of(tess.page, "0012345678905"))
        await expect(form.get_by_role("alert")).to_contain_text("No code was found")
        await expect(form.get_by_label("Serial number")).to_have_value("")


SCANNED = [
    *("HWTC12345678", " hwtc-1234 5678", "S/N: HWTC12345678", "48:57:54:43:12:34:56:78", "SN12345678901", "A.b_c~d"),
    *(
        "",
        "abc",
        "HWTC/1234",
        "HWTC1234567*",
        "a b c d e",
        "-abcd",
        "x" * 64,
        "x" * 65,
        "SN:",
        "ÄBCD1234",
        "GPON SN: HWTC12345678",
    ),
]


@pytest.mark.second_half
@pytest.mark.either_database
async def test_the_page_takes_for_a_serial_number_what_the_server_takes(lab: JourneyLab, machine: Machine) -> None:
    _run, _house, login, visit_id = await visited_today(lab)
    async with machine.looker() as tess:
        await open_day(tess, login, visit_id)
        taken = await tess.page.evaluate("texts => texts.map(field.isSerial)", SCANNED)
    assert dict(zip(SCANNED, taken, strict=True)) == {each: normalise_serial(each) is not None for each in SCANNED}
