"""Rows that a template leaves open: named, found again by tags, and told apart from others."""

from __future__ import annotations

import pytest

from acs import TemplateLibrary
from acs.templates.delivery import ChosenRows, Delivery, fits, is_row_tag

ROW = "InternetGatewayDevice.WANDevice.1.WANConnectionDevice.{wan}.WANPPPConnection.{ppp}"


def test_what_is_kept_of_a_delivery_is_all_of_it(templates: TemplateLibrary) -> None:
    for name in templates.names:
        delivery = templates.get(name).delivery
        assert Delivery.from_json(delivery.as_json()) == delivery
    assert Delivery.from_json({}) == Delivery()


@pytest.mark.parametrize(
    ("tags", "placed"),
    [
        (["cfg_1", "row_internet_2_1", "row_voice_3_1"], ROW.format(wan=2, ppp=1)),
        (["row_internet_2"], None),
        (["row_internet_2_1", "row_internet_3_1"], None),
        ([], None),
    ],
)
def test_a_row_is_the_one_of_the_tag_if_there_is_one(
    templates: TemplateLibrary, tags: list[str], placed: str | None
) -> None:
    rows = ChosenRows.by_tags(templates.get("huawei-tr098").delivery.selectors, tags)
    assert (None if rows is None else rows.placed(ROW)) == placed


def test_a_path_fits_where_only_numbers_differ() -> None:
    assert fits(f"{ROW.format(wan=12, ppp=1)}.X_ZTE-COM_VLANID", f"{ROW}.X_ZTE-COM_VLANID")
    assert not fits(f"{ROW.format(wan=12, ppp=1)}.XxZTE-COM_VLANID", f"{ROW}.X.ZTE-COM_VLANID")
    assert not fits(f"{ROW.format(wan='a', ppp=1)}.Enable", f"{ROW}.Enable")


def test_only_tags_of_our_shape_are_ours() -> None:
    assert [tag for tag in ("row_internet_2_1", "row_x", "row_1", "rows_a_1", "cfg_1") if is_row_tag(tag)] == [
        "row_internet_2_1"
    ]
