"""Downloads: the RPC is accepted at once, the transfer is an operation until the CPE says TransferComplete."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from acs.testing.cpe_network import TransferResult
from acs.testing.device_document import node_at, put_name, put_value
from acs.testing.device_session import DeviceSession
from acs.testing.documents import Documents
from acs.testing.json_text import dump_json, parse_json
from acs.testing.parameter_tree import DATE_TIME, STRING
from acs.testing.query import Document


async def begin_transfer(documents: Documents, session: DeviceSession, args: Sequence[object]) -> None:
    """Raises: CwmpFault when the CPE refuses the Download RPC."""
    file_type, file_name, target = (str(one) for one in args)
    at = session.started
    command_key = f"{int(session.clock.now().timestamp() * 1000):x}0000"
    session.rpcs.download(command_key, file_type, file_name)
    instance = _instance_for(session.document, file_type)
    device_id = session.rpcs.cpe.device_id
    task_ids = [task["_id"] for task in documents.tasks_of(device_id) if task.get("fileName") == file_name]
    documents["operations"][f"{device_id}:{command_key}"] = {
        "_id": f"{device_id}:{command_key}",
        "name": "Download",
        "timestamp": at,
        "channels": dump_json({f"task_{task_ids[0]}" if task_ids else "": 1}),
        "provisions": dump_json([["download", file_type, file_name, target]]),
        "retries": "{}",
        "args": dump_json(
            {"instance": instance, "fileType": file_type, "fileName": file_name, "targetFileName": target}
        ),
    }
    base = f"Downloads.{instance}"
    put_name(session.document, "Downloads.", True)
    put_name(session.document, f"{base}.", True, at)
    for name, value in (("FileType", file_type), ("FileName", file_name), ("TargetFileName", target)):
        _put(session, f"{base}.{name}", value, STRING, writable=True)
    _put(session, f"{base}.Download", at, DATE_TIME, writable=True)


def end_transfers(documents: Documents, session: DeviceSession) -> list[Document]:
    """Take the results that the CPE brings; gives the faults of the failed ones."""
    cpe = session.rpcs.cpe
    results, cpe.transfers = cpe.transfers, []
    faults: list[Document] = []
    for result in results:
        operation = documents["operations"].pop(f"{cpe.device_id}:{result.command_key}", None)
        if operation is None:
            continue
        if result.fault:
            faults.append(_fault(session, operation, result))
        else:
            _complete(session, operation, result)
    return faults


def _complete(session: DeviceSession, operation: Document, result: TransferResult) -> None:
    args = parse_json(operation["args"])
    base = f"Downloads.{args['instance']}"
    for name in ("FileType", "FileName", "TargetFileName"):
        _put(session, f"{base}.Last{name}", args[name[0].lower() + name[1:]], STRING)
    _put(session, f"{base}.LastDownload", operation["timestamp"], DATE_TIME)
    _put(session, f"{base}.StartTime", result.started, DATE_TIME)
    _put(session, f"{base}.CompleteTime", result.completed, DATE_TIME)


def _fault(session: DeviceSession, operation: Document, result: TransferResult) -> Document:
    device_id = session.rpcs.cpe.device_id
    channel = next(iter(parse_json(operation["channels"])))
    return {
        "_id": f"{device_id}:{channel}",
        "device": device_id,
        "channel": channel,
        "timestamp": session.clock.now(),
        "code": f"cwmp.{result.fault}",
        "message": result.text,
        "detail": {"faultCode": str(result.fault), "faultString": result.text, "setParameterValuesFault": None},
        "retries": 0,
        "provisions": operation["provisions"],
    }


def _instance_for(document: Document, file_type: str) -> str:
    """A further download of the same file type uses the same instance."""
    known = node_at(document, "Downloads") or {}
    instances = {number: one for number, one in known.items() if number.isdigit()}
    for number, one in instances.items():
        if one.get("FileType", {}).get("_value") == file_type:
            return number
    return str(len(instances) + 1)


def _put(session: DeviceSession, path: str, value: str | datetime, xsd_type: str, *, writable: bool = False) -> None:
    put_name(session.document, path, writable)
    text = value.isoformat() if isinstance(value, datetime) else value
    put_value(session.document, path, text, xsd_type, session.clock.now())
