"""What a CPE holds: its parameters, the customer's truth, apart from anything that the ACS believes.

Types are XML schema's as in TR-106; a set is checked as TR-069 A.3.2.1 asks: all values or none.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from acs.testing.errors import CwmpFault, LabRefused

Value = str | int | bool

STRING = "xsd:string"
BOOLEAN = "xsd:boolean"
INTEGER = "xsd:int"
UNSIGNED = "xsd:unsignedInt"
DATE_TIME = "xsd:dateTime"
_NUMBERS = (INTEGER, UNSIGNED, "xsd:long", "xsd:unsignedLong")


@dataclass(frozen=True)
class Parameter:
    """One leaf. A secret reads back blank through CWMP; `minimum`/`maximum` bound a number or a text's length."""

    value: Value
    xsd_type: str = STRING
    writable: bool = False
    secret: bool = False
    minimum: int | None = None
    maximum: int | None = None

    def accepts(self, wished: object) -> Value:
        """The wish as this parameter's type.

        Raises: CwmpFault 9007 (invalid value).
        """
        value = as_type(wished, self.xsd_type)
        if self.xsd_type in _NUMBERS:
            if not isinstance(value, int) or (self.xsd_type.startswith("xsd:unsigned") and value < 0):
                raise CwmpFault(9007)
        elif self.xsd_type == BOOLEAN and not isinstance(value, bool):
            raise CwmpFault(9007)
        size = value if isinstance(value, int) else len(value.encode())
        bounded = not isinstance(value, bool) and self.xsd_type != DATE_TIME
        if bounded and (
            (self.minimum is not None and size < self.minimum) or (self.maximum is not None and size > self.maximum)
        ):
            raise CwmpFault(9007)
        return value


def as_type(value: object, xsd_type: str) -> Value:
    """A value as it would be after a trip through CWMP's text; what doesn't fit the type stays text."""
    text = ("true" if value else "false") if isinstance(value, bool) else str(value)
    if xsd_type == BOOLEAN:
        return {"true": True, "1": True, "false": False, "0": False}.get(text.strip().lower(), text)
    if xsd_type in _NUMBERS:
        try:
            return int(text)
        except ValueError:
            return text
    return text


@dataclass
class Table:
    """A multi-instance object that the ACS may add to and delete from."""

    template: dict[str, Parameter] = field(default_factory=dict)
    next_instance: int = 1


class ParameterTree:
    """All leaves by full path, plus the tables that can grow."""

    def __init__(
        self, parameters: Mapping[str, Parameter], tables: Mapping[str, Mapping[str, Parameter]] | None = None
    ) -> None:
        self._parameters = dict(parameters)
        self._tables = {path: Table(dict(template)) for path, template in (tables or {}).items()}
        self.keep_as_factory_default()

    def keep_as_factory_default(self) -> None:
        """What it holds now is what a factory reset brings back."""
        self._factory = (dict(self._parameters), copy.deepcopy(self._tables))

    @property
    def root(self) -> str:
        return next(iter(self._parameters)).split(".", 1)[0]

    def __contains__(self, path: object) -> bool:
        return path in self._parameters

    def value(self, path: str) -> Value:
        """The truth, a secret in clear.

        Raises: LabRefused when the CPE has no such parameter.
        """
        return self.parameter(path).value

    def parameter(self, path: str) -> Parameter:
        try:
            return self._parameters[path]
        except KeyError:
            raise LabRefused(f"the CPE has no parameter {path}") from None

    def readable(self, path: str, secret_mask: str = "") -> tuple[Value, str]:
        """Value and type as GetParameterValues answers them: a secret is blank, or masked."""
        parameter = self.parameter(path)
        return (secret_mask if parameter.secret else parameter.value), parameter.xsd_type

    def put(self, path: str, value: object) -> None:
        """Change a value from the inside: writability doesn't matter, the type does."""
        parameter = self.parameter(path)
        self._parameters[path] = replace(parameter, value=as_type(value, parameter.xsd_type))

    def remove(self, path: str) -> None:
        """The CPE's firmware doesn't have this parameter (any more); a factory reset brings it back.

        Raises: LabRefused when it has no such parameter.
        """
        self.parameter(path)
        del self._parameters[path]

    def factory_reset(self) -> None:
        self._parameters = dict(self._factory[0])
        self._tables = copy.deepcopy(self._factory[1])

    def checked(self, wishes: Iterable[tuple[str, object]]) -> tuple[dict[str, Value], dict[str, int]]:
        """What a SetParameterValues would write, and what is wrong with it by path (9005, 9007, 9008)."""
        accepted: dict[str, Value] = {}
        refused: dict[str, int] = {}
        for path, wished in wishes:
            if path not in self._parameters:
                refused[path] = 9005
            elif not self._parameters[path].writable:
                refused[path] = 9008
            else:
                try:
                    accepted[path] = self._parameters[path].accepts(wished)
                except CwmpFault as fault:
                    refused[path] = fault.code
        return accepted, refused

    def leaves(self, under: str = "") -> Iterator[str]:
        """Full paths of the leaves at or below a path; an empty path means all."""
        prefix = under.rstrip(".") + "."
        return (path for path in list(self._parameters) if not under or path == under or path.startswith(prefix))

    def names(self, under: str = "") -> dict[str, bool]:
        """GetParameterNames: leaves by path, and objects by path with a dot at the end, each with its writability."""
        names: dict[str, bool] = {}
        top = under.rstrip(".")
        for leaf in self.leaves(under):
            for path in _objects_above(leaf):
                if not top or path == top or path.startswith(f"{top}."):
                    names.setdefault(f"{path}.", self._object_writable(path))
            names[leaf] = self._parameters[leaf].writable
        for path in self._tables:
            if not top or path == top or path.startswith(f"{top}."):
                names[f"{path}."] = True
        return names

    def add_object(self, table_path: str) -> int:
        """Make a new instance and give its number.

        Raises: CwmpFault 9005 when that is no table.
        """
        path = table_path.rstrip(".")
        table = self._tables.get(path)
        if table is None:
            raise CwmpFault(9005)
        instance = table.next_instance
        table.next_instance += 1
        for name, parameter in table.template.items():
            self._parameters[f"{path}.{instance}.{name}"] = parameter
        self._count(path)
        return instance

    def delete_object(self, instance_path: str) -> None:
        """Raises: CwmpFault 9005 when there is no such instance."""
        path = instance_path.rstrip(".")
        table_path = path.rpartition(".")[0]
        below = list(self.leaves(path))
        if table_path not in self._tables or not below:
            raise CwmpFault(9005)
        for leaf in below:
            del self._parameters[leaf]
        self._count(table_path)

    def dump(self) -> dict[str, Any]:
        """Values and grown instances, JSON-able; with the same factory tree `load` brings them back."""
        return {
            "values": {path: parameter.value for path, parameter in self._parameters.items()},
            "next_instances": {path: table.next_instance for path, table in self._tables.items()},
        }

    def load(self, dumped: Mapping[str, Any]) -> None:
        self.factory_reset()
        for path, next_instance in dumped["next_instances"].items():
            self._tables[path].next_instance = next_instance
        for path, value in dumped["values"].items():
            if path not in self._parameters:
                table_path, name = self._grown(path)
                self._parameters[path] = self._tables[table_path].template[name]
            self.put(path, value)
        for path in [path for path in self._parameters if path not in dumped["values"]]:
            del self._parameters[path]

    def _grown(self, path: str) -> tuple[str, str]:
        for table_path in self._tables:
            if path.startswith(f"{table_path}."):
                return table_path, path[len(table_path) + 1 :].partition(".")[2]
        raise LabRefused(f"the CPE has no parameter {path}")

    def _object_writable(self, path: str) -> bool:
        return path in self._tables or path.rpartition(".")[0] in self._tables

    def _count(self, table_path: str) -> None:
        counter = f"{table_path}NumberOfEntries"
        if counter in self._parameters:
            depth = table_path.count(".") + 1
            instances = {leaf.split(".")[depth] for leaf in self.leaves(table_path)}
            self.put(counter, len(instances))


def _objects_above(path: str) -> Iterator[str]:
    segments = path.split(".")
    return (".".join(segments[:length]) for length in range(1, len(segments)))
