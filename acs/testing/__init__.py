"""A lab ACS with simulated CPEs, for tests and for the demo: it answers the GenieACS NBI as a GenieACS 1.2.16 does.

    lab = LabAcs(clock=LabClock())
    await lab.start()
    cpe = lab.attach(LabCpe("HWTC12345678", data_model="TR-181"))
    await cpe.power_on()                 # Inform: 0 BOOTSTRAP, 1 BOOT
    ...                                  # talk to lab.url as to a GenieACS
    assert cpe.value("Device.WiFi.SSID.1.SSID") == "HomeNet"
    await lab.stop()

In a process of its own: `python -m acs.testing` prints the URLs of the NBI and of a remote control as one JSON line;
`LabControl(control_url)` drives it (power, line, quirks, the customer's hand, the CPE's truth, PPP, diary, snapshots).

Status, reason and body of every answer were compared with a recorded GenieACS; its traps are here as well: a 200 for an
unknown parameter, a value believed to be set, a document that shows wishes, secrets that read back blank, a worker that
dies of bad input.
"""

from acs.testing.clock import Clock, LabClock, WallClock
from acs.testing.control import CpeState, HappeningSeen, LabControl
from acs.testing.control_api import ControlApi
from acs.testing.cpe import LabCpe
from acs.testing.cpe_network import Change, PppState
from acs.testing.data_models import ROLES, DataModel, Roles
from acs.testing.errors import LabError, LabRefused
from acs.testing.extensions import FirstlightExtension
from acs.testing.parameter_tree import Parameter
from acs.testing.population import HONEST, SHARES, Temper, populate, serial_of
from acs.testing.quirks import Quirks
from acs.testing.server import Happening, LabAcs, NbiTrouble

__all__ = [
    "HONEST",
    "ROLES",
    "SHARES",
    "Change",
    "Clock",
    "ControlApi",
    "CpeState",
    "DataModel",
    "FirstlightExtension",
    "Happening",
    "HappeningSeen",
    "LabAcs",
    "LabClock",
    "LabControl",
    "LabCpe",
    "LabError",
    "LabRefused",
    "NbiTrouble",
    "Parameter",
    "PppState",
    "Quirks",
    "Roles",
    "Temper",
    "WallClock",
    "populate",
    "serial_of",
]
