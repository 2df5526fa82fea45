"""Messages to and from the parameters of a URL: nested fields as `page.page_size=20`."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import parse_qsl, urlencode

from google.protobuf.descriptor import Descriptor, FieldDescriptor

from tier_runtime.rest.codec import Fields, JsonError
from tier_runtime.rest.json_source import DURATION, TIMESTAMP, is_special

_MAX_PARAMETERS = 1000
_INTEGER = re.compile(r"-?[0-9]{1,20}")
_INTEGERS = frozenset(
    {
        # By name or by number.
        FieldDescriptor.CPPTYPE_ENUM,
        FieldDescriptor.CPPTYPE_INT32,
        FieldDescriptor.CPPTYPE_INT64,
        FieldDescriptor.CPPTYPE_UINT32,
        FieldDescriptor.CPPTYPE_UINT64,
    }
)
_BOOLEANS = {"true": True, "false": False}


@dataclass(frozen=True, slots=True)
class _Parameter:
    """Where a parameter belongs, and what its text means in JSON."""

    path: tuple[str, ...]
    is_repeated: bool
    read: Callable[[str], Any]


class QueryForm:
    """The URL parameters of one type of message."""

    def __init__(self, message: Descriptor) -> None:
        self._by_name: dict[str, _Parameter] = {}
        # False when the message can hold what a URL cannot say, such as a list of messages.
        self.is_whole = True
        for parameter, json_path in self._parameters(message, (), (), ()):
            self._by_name[".".join(parameter.path)] = parameter
            self._by_name[json_path] = parameter

    def write(self, fields: Fields) -> str | None:
        """Return the query of a message's fields, or None when it cannot say them."""
        pairs: list[tuple[str, str]] = []
        if self.is_whole and _flatten(fields, "", pairs):
            return urlencode(pairs)
        return None

    def read(self, query: str) -> Fields:
        """Return the fields that a query stands for, as they would stand in JSON.

        Raises:
            JsonError: it names a field that the message has not, or one several times.
        """
        fields: Fields = {}
        if not query:
            return fields
        try:
            pairs = parse_qsl(
                query, keep_blank_values=True, max_num_fields=_MAX_PARAMETERS, errors="strict"
            )
        except ValueError as error:
            raise JsonError("The query cannot be read.") from error
        for name, text in pairs:
            parameter = self._by_name.get(name)
            if parameter is None:
                raise JsonError("The query names a field that does not exist.")
            *outer, last = parameter.path
            inside = fields
            for part in outer:
                inside = inside.setdefault(part, {})
            value = parameter.read(text)
            if parameter.is_repeated:
                inside.setdefault(last, []).append(value)
            elif last in inside:
                raise JsonError("The query names a field twice.")
            else:
                inside[last] = value
        return fields

    def _parameters(
        self,
        message: Descriptor,
        path: tuple[str, ...],
        json_path: tuple[str, ...],
        above: tuple[Descriptor, ...],
    ) -> Iterator[tuple[_Parameter, str]]:
        for field in message.fields:
            here, json_here = (*path, field.name), (*json_path, str(field.json_name))
            inner = field.message_type
            if inner is None or inner.full_name in {TIMESTAMP, DURATION}:
                yield _Parameter(here, field.is_repeated, _reader(field)), ".".join(json_here)
            elif field.is_repeated or is_special(inner) or inner in above:
                self.is_whole = False
            else:
                yield from self._parameters(inner, here, json_here, (*above, message))


def _flatten(fields: Mapping[str, Any], prefix: str, pairs: list[tuple[str, str]]) -> bool:
    for name, value in fields.items():
        if isinstance(value, dict):
            # An empty message is not the same as none, and has no parameter.
            if not value or not _flatten(value, f"{prefix}{name}.", pairs):
                return False
        elif isinstance(value, list):
            pairs += [(prefix + name, _text(one)) for one in value]
        else:
            pairs.append((prefix + name, _text(value)))
    return True


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    return str(value)


def _reader(field: FieldDescriptor) -> Callable[[str], Any]:
    if field.cpp_type in _INTEGERS:
        return _integer
    if field.type == FieldDescriptor.TYPE_BOOL:
        return _boolean
    # Numbers with decimals too: the codec takes them as text.
    return str


def _integer(text: str) -> int | str:
    return int(text) if _INTEGER.fullmatch(text) else text


def _boolean(text: str) -> bool | str:
    return _BOOLEANS.get(text, text)
