"""Writes, for a message type, the two functions that a careful person would write by hand.

One makes a dict of a message, the other makes a dict that came from JSON fit to construct the
message from. Source code and not a loop over descriptors, because the loop costs several times
as much as what it does.
"""

from __future__ import annotations

from collections.abc import Iterator

from google.protobuf.descriptor import Descriptor, FieldDescriptor

TIMESTAMP, DURATION, ANY = (
    "google.protobuf.Timestamp",
    "google.protobuf.Duration",
    "google.protobuf.Any",
)
# Their JSON is not that of a message of their fields.
_SPECIAL = frozenset(
    {
        "google.protobuf.FieldMask",
        "google.protobuf.ListValue",
        "google.protobuf.Struct",
        "google.protobuf.Value",
        "google.protobuf.BoolValue",
        "google.protobuf.BytesValue",
        "google.protobuf.DoubleValue",
        "google.protobuf.FloatValue",
        "google.protobuf.Int32Value",
        "google.protobuf.Int64Value",
        "google.protobuf.StringValue",
        "google.protobuf.UInt32Value",
        "google.protobuf.UInt64Value",
    }
)
_REPLACED = {TIMESTAMP: "moment_fields", DURATION: "duration_fields", ANY: "any_fields"}
_REFUSE = "raise NotPlainError"
_FLOATS = (FieldDescriptor.CPPTYPE_FLOAT, FieldDescriptor.CPPTYPE_DOUBLE)


def to_name(message: Descriptor) -> str:
    """Return the name of the function that makes a dict of such a message."""
    return "to_" + message.full_name.replace(".", "_")


def fit_name(message: Descriptor) -> str:
    """Return the name of the function that makes a dict fit to construct such a message."""
    return "fit_" + message.full_name.replace(".", "_")


def is_special(message: Descriptor) -> bool:
    """True when the type has a JSON form of its own."""
    return message.full_name in {TIMESTAMP, DURATION, ANY} or message.full_name in _SPECIAL


def parts(message: Descriptor) -> Iterator[Descriptor]:
    """Yield the message types that its functions call."""
    for field in message.fields:
        inner = field.message_type
        if inner is not None and _is_map(field):
            inner = _entry(field)[1].message_type
        if inner is not None and not is_special(inner):
            yield inner


def source_of(message: Descriptor) -> str:
    """Return the source of both functions."""
    lines = [f"def {to_name(message)}(message):", "    fields = {}"]
    for field in message.fields:
        lines += [f"    {line}" for line in _to_lines(field)]
    lines += ["    return fields", "", f"def {fit_name(message)}(fields):"]
    # Also what tells a dict from anything else.
    lines.append("    get = fields.get")
    for field in message.fields:
        lines += [f"    {line}" for line in _fit_lines(field)]
    for oneof in message.oneofs:
        members = [field.name for field in oneof.fields]
        if len(members) > 1:
            given = " + ".join(f"(get({name!r}) is not None)" for name in members)
            lines += [f"    if {given} > 1:", f"        {_REFUSE}"]
    return "\n".join([*lines, ""])


def _to_lines(field: FieldDescriptor) -> list[str]:
    name = field.name
    if field.is_repeated:
        return [
            f"if value := message.{name}:",
            f"    fields[{name!r}] = {_map_json(field) if _is_map(field) else _list_json(field)}",
        ]
    if field.has_presence:
        return [
            f"if message.HasField({name!r}):",
            f"    fields[{name!r}] = {_json(field, f'message.{name}')}",
        ]
    return [f"if value := message.{name}:", f"    fields[{name!r}] = {_json(field, 'value')}"]


def _list_json(field: FieldDescriptor) -> str:
    one = _json(field, "one")
    # A slice is a list, made in one step.
    return "value[:]" if one == "one" else f"[{one} for one in value]"


def _map_json(field: FieldDescriptor) -> str:
    key, inner = _entry(field)
    value = _json(inner, "one")
    if key.cpp_type == FieldDescriptor.CPPTYPE_STRING:
        return (
            "dict(value)" if value == "one" else f"{{key: {value} for key, one in value.items()}}"
        )
    # Keys of JSON are text: 7 is "7", and True is "true".
    return f"{{str(key).lower(): {value} for key, one in value.items()}}"


def _json(field: FieldDescriptor, value: str) -> str:
    """Return the expression for one value of the field."""
    inner = field.message_type
    if inner is not None:
        if inner.full_name == TIMESTAMP:
            return f"moment_json({value})"
        if inner.full_name == DURATION:
            return f"duration_json({value})"
        if inner.full_name == ANY:
            return f"any_json({value})"
        return f"special_json({value})" if is_special(inner) else f"{to_name(inner)}({value})"
    if field.enum_type is not None:
        # An unknown value stays the number that it is.
        return f"enum_names[{field.enum_type.full_name!r}].get({value}, {value})"
    if field.type == FieldDescriptor.TYPE_BYTES:
        return f"b2a_base64({value}, newline=False).decode()"
    return f"float_json({value})" if field.cpp_type in _FLOATS else value


def _fit_lines(field: FieldDescriptor) -> list[str]:
    head = f"if (value := get({field.name!r})) is not None:"
    if _is_map(field):
        return _indented(head, _map_checks(field))
    if not field.is_repeated:
        checks, fitted = _fit(field, "value")
        replacing = [f"fields[{field.name!r}] = {fitted}"] if fitted else []
        return _indented(head, checks + replacing) if checks or fitted else []
    checks, fitted = _fit(field, "one")
    # Text and dicts can be iterated too.
    lines = _unless("type(value) is list")
    if checks:
        lines += _indented("for one in value:", checks)
    if fitted:
        lines.append(f"fields[{field.name!r}] = [{fitted} for one in value]")
    return _indented(head, lines)


def _fit(field: FieldDescriptor, value: str) -> tuple[list[str], str]:
    """Return what checks or mends one value in place, and the expression that replaces it."""
    inner = field.message_type
    if inner is not None:
        if inner.full_name in _REPLACED:
            return [], f"{_REPLACED[inner.full_name]}({value})"
        return ([_REFUSE] if is_special(inner) else [f"{fit_name(inner)}({value})"]), ""
    if field.type == FieldDescriptor.TYPE_BYTES:
        return [], f"bytes_from({value})"
    # The constructor takes 1 for true and true for 1.0, and any number for a float.
    if field.type == FieldDescriptor.TYPE_BOOL:
        return _unless(f"type({value}) is bool"), ""
    if field.type == FieldDescriptor.TYPE_DOUBLE:
        return _unless(f"type({value}) in (int, float)"), ""
    return ([_REFUSE] if field.type == FieldDescriptor.TYPE_FLOAT else []), ""


def _map_checks(field: FieldDescriptor) -> list[str]:
    key, value = _entry(field)
    if key.type == value.type == FieldDescriptor.TYPE_STRING:
        return _unless("type(value) is dict")
    return [_REFUSE]


def _unless(condition: str) -> list[str]:
    return [f"if not ({condition}):", f"    {_REFUSE}"]


def _indented(head: str, lines: list[str]) -> list[str]:
    return [head, *(f"    {line}" for line in lines)]


def _is_map(field: FieldDescriptor) -> bool:
    return field.message_type is not None and field.message_type.GetOptions().map_entry


def _entry(field: FieldDescriptor) -> tuple[FieldDescriptor, FieldDescriptor]:
    assert field.message_type is not None  # noqa: S101 - it is what makes the field a map.
    entry = field.message_type.fields_by_name
    return entry["key"], entry["value"]
