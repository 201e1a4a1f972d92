"""The CPE's end of CWMP: the RPCs of TR-069 A.3 that the ACS calls in a session, on the CPE's own truth."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from acs.testing.cpe import LabCpe
from acs.testing.cpe_network import TransferResult
from acs.testing.cpe_tests import make_tests
from acs.testing.errors import CpeGone, CwmpFault
from acs.testing.parameter_tree import Value

FIRMWARE = "1 Firmware Upgrade Image"


class CpeRpcs:
    """One CPE's RPCs. Every call is written down in `cpe.rpcs_seen`: what it doesn't list was not sent."""

    def __init__(self, cpe: LabCpe) -> None:
        self.cpe = cpe

    def get_parameter_names(self, path: str) -> dict[str, bool]:
        """Leaves and objects (with a dot at the end) at or below a path, each with its writability."""
        self._called("GetParameterNames", path)
        return self.cpe.tree.names(path)

    def get_parameter_values(self, paths: Iterable[str]) -> dict[str, tuple[Value, str]]:
        """Value and type by path; secrets blank or masked.

        Raises: CwmpFault 9005 when one doesn't exist.
        """
        wanted = list(paths)
        self._called("GetParameterValues", *wanted)
        self._age()
        if any(path not in self.cpe.tree for path in wanted):
            raise CwmpFault(9005)
        return {path: self.cpe.tree.readable(path, self.cpe.quirks.secret_mask) for path in wanted}

    def set_parameter_values(self, wishes: Iterable[tuple[str, object]]) -> int:
        """All or none. Gives the Status: 0 applied, 1 not yet.

        Raises: CwmpFault 9003 with the refused parameters.
        """
        wanted = list(wishes)
        self._called("SetParameterValues", *(path for path, _ in wanted))
        quirks = self.cpe.quirks
        if quirks.fault_all is not None:
            said = " ".join(f"{path}={value}" for path, value in wanted) if quirks.echoes else None
            raise CwmpFault(quirks.fault_all, said)
        accepted, refused = self.cpe.tree.checked(wanted)
        refused |= {path: quirks.refuse[path] for path, _ in wanted if path in quirks.refuse}
        if refused:
            texts = {path: f"{value} is no good" for path, value in wanted if path in refused and quirks.echoes}
            raise CwmpFault(9003, by_parameter=refused, texts=texts)
        if quirks.lies:
            return 0
        if quirks.status_one:
            self.cpe.staged |= accepted
            return 1
        restarts = self._restarts_wan(accepted)
        for path, value in accepted.items():
            self.cpe.tree.put(path, value)
        self.cpe.changed(set(accepted), "acs")
        if restarts and quirks.wan_restart_cuts_session:
            self.cpe.line_up = False
            self.cpe.network.spawn(self._come_back())
            raise CpeGone(self.cpe.serial)
        if restarts:
            self.cpe.after_session = self._restart_wan
        make_tests(self.cpe, accepted)
        return 0

    def _restarts_wan(self, accepted: Mapping[str, Value]) -> bool:
        """Whether these are another VLAN or login than it has, on the WAN that the ACS reaches it over."""
        roles = self.cpe.roles
        wan = {roles.ppp_username, roles.ppp_password, roles.ppp_enable, roles.vlan_id}
        other = any(path in wan and self.cpe.tree.value(path) != value for path, value in accepted.items())
        return other and self.cpe.quirks.wan_restart_seconds is not None

    async def _restart_wan(self) -> None:
        """The line is what the session ran over; it informs when it is up again."""
        await self.cpe.darken()
        self.cpe.network.spawn(self._come_back())

    async def _come_back(self) -> None:
        await self.cpe.network.clock.sleep(self.cpe.quirks.wan_restart_seconds or 0.0, background=True)
        await self.cpe.light()

    def add_object(self, table_path: str) -> int:
        self._called("AddObject", table_path)
        return self.cpe.tree.add_object(table_path)

    def delete_object(self, instance_path: str) -> None:
        self._called("DeleteObject", instance_path)
        self.cpe.tree.delete_object(instance_path)

    def reboot(self) -> None:
        """Answered now, done when the session has ended."""
        self._called("Reboot")
        self.cpe.after_session = self._reboot

    def factory_reset(self) -> None:
        """Answered now, done when the session has ended."""
        self._called("FactoryReset")
        self.cpe.after_session = self._reset

    def download(self, command_key: str, file_type: str, file_name: str) -> None:
        """Answered now; the transfer takes its time and ends in an Inform with TransferComplete."""
        self._called("Download", file_name)
        self.cpe.transferring[command_key] = (file_type, file_name)
        self.cpe.network.spawn(self.transfer(command_key))

    async def _reboot(self) -> None:
        self.cpe.reboot()

    async def _reset(self) -> None:
        self.cpe.forget_settings()
        self.cpe.reboot()

    async def transfer(self, command_key: str) -> None:
        """The transfer itself; a restored lab begins it anew."""
        cpe, clock = self.cpe, self.cpe.network.clock
        started = clock.now()
        await clock.sleep(cpe.quirks.transfer_seconds, background=True)
        file_type, file_name = cpe.transferring.pop(command_key)
        found = cpe.network.fetch(file_name)
        fault, text = (0, "") if found is not None else (9016, "HTTP 404")
        cpe.transfers.append(TransferResult(command_key, fault, text, started, clock.now()))
        events = ["7 TRANSFER COMPLETE", "M Download"]
        if found is not None and file_type == FIRMWARE and cpe.quirks.keeps_version:
            events.insert(0, "1 BOOT")
        elif found is not None and file_type == FIRMWARE:
            cpe.tree.put(f"{cpe.roles.root}.DeviceInfo.SoftwareVersion", str(found.get("version", "")))
            events.insert(0, "1 BOOT")
        await cpe.inform(*events)

    def _called(self, rpc: str, *paths: str) -> None:
        if not self.cpe.online:
            raise CpeGone(self.cpe.serial)
        if rpc in self.cpe.quirks.unsupported:
            raise CwmpFault(9000)
        self.cpe.rpcs_seen.append((rpc, paths))

    def _age(self) -> None:
        if self.cpe.booted_at is not None:
            uptime = self.cpe.network.clock.now() - self.cpe.booted_at
            self.cpe.tree.put(f"{self.cpe.roles.root}.DeviceInfo.UpTime", int(uptime.total_seconds()))
