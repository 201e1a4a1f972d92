"""The only reader of the environment and of the files it names: every setting, its default, and what is wrong with it.

``load_settings()`` reads variables prefixed ``FIRSTLIGHT_``; its keyword arguments win over them (the lab uses that).
Everybody else is handed plain values. To add a setting: one field in the module of its concern (``storage``,
``freeradius``, ``surroundings``, ``line``, ``messages``, ``selling``, ``waiting``), with its unit in the name and a
description; then ``make docs`` renews the table in ``docs/settings.md`` (a test compares the two).
"""

from provisioning.settings.everything import (
    Settings,
    SettingsRefused,
    freeradius_variables,
    load_settings,
    render_settings_table,
)
from provisioning.settings.line import OltVendor
from provisioning.settings.storage import default_radius_database, default_radius_schema
from provisioning.settings.values import PREFIX

__all__ = [
    "PREFIX",
    "OltVendor",
    "Settings",
    "SettingsRefused",
    "default_radius_database",
    "default_radius_schema",
    "freeradius_variables",
    "load_settings",
    "render_settings_table",
]
