"""Typed settings from the environment, `.env` and secret files.

A settings class names its fields in snake_case; the variable is the same name in upper case. Every
SecretStr field FOO can also come from the file that FOO_FILE names. Constructing a settings class
reads nothing; only `load` does.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import UnionType
from typing import Any, ClassVar, Literal, TypeVar, Union, get_args, get_origin

from dotenv import dotenv_values
from pydantic import (
    Field,
    SecretBytes,
    SecretStr,
    ValidationError,
    create_model,
    field_validator,
)
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails, PydanticUndefined
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from tier_runtime.addresses import OptionalBind
from tier_runtime.redaction import mask_url_password
from tier_runtime.startup import StartupError

ENV_FILE = Path(".env")
MASK = "**********"

SettingsT = TypeVar("SettingsT", bound="TierSettings")
LogLevel = Literal["debug", "info", "warning", "error"]


class SettingsError(StartupError):
    """Settings that cannot be used; its text names every fault, one a line."""

    def __init__(self, faults: Sequence[str]) -> None:
        super().__init__("\n".join(faults))
        self.faults = tuple(faults)


@dataclass(frozen=True, slots=True)
class Rule:
    """What must hold between several settings of a class.

    A validator of the whole model would not do: pydantic runs none while a single field is bad,
    and the first that raises hides the others.

    Attributes:
        fields: the fields that it looks at; its fault is told by the name of the first.
        fault: says of the settings what is wrong, without that name; None when nothing is.
    """

    fields: tuple[str, ...]
    fault: Callable[[Any], str | None]


class TierSettings(BaseSettings):
    """What every tier can be told. Subclass it; give each field a description with its unit.

    Attributes:
        rules: what must hold between fields; `load` asks each that looks at valid ones only, and
            those of the classes that it is a subclass of.
    """

    model_config = SettingsConfigDict(frozen=True, extra="forbid", validate_default=True)

    rules: ClassVar[tuple[Rule, ...]] = ()

    log_level: LogLevel = Field(
        default="info", description="The least severe log lines that are written."
    )
    log_json: bool = Field(
        default=True,
        description="Whether log lines are JSON (true) or made for a console (false).",
    )

    metrics_bind: OptionalBind = Field(
        default="",
        description="Where Prometheus reads the metrics, at `/metrics`: host:port, for all "
        "processes of a program together. When not set, or `off`, nothing is counted.",
    )

    @field_validator("log_level", mode="before")
    @classmethod
    def _in_lower_case(cls, value: object) -> object:
        return value.lower() if isinstance(value, str) else value

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Read nothing but the arguments: reading the environment is the business of `load`."""
        del settings_cls, env_settings, dotenv_settings, file_secret_settings
        return (init_settings,)

    def __repr_args__(self) -> Iterator[tuple[str | None, Any]]:
        """Yield what repr shows: secrets and passwords inside URLs are masked."""
        for name, value in super().__repr_args__():
            yield name, mask_url_password(value) if isinstance(value, str) else value


@dataclass(frozen=True, slots=True)
class SettingDoc:
    """One setting, as the documentation shows it. `default` is None where there is none."""

    env_name: str
    type_name: str
    default: str | None
    description: str
    secret: bool


def load(
    cls: type[SettingsT],
    environ: Mapping[str, str] | None = None,
    env_file: Path | None = None,
) -> SettingsT:
    """Return the settings of this class from the environment and `.env`.

    The environment wins over the file. An empty variable counts as not set. A field of several
    values takes a comma-separated list. With an `environ` of the caller's own, no file is read
    unless it is named.

    Raises:
        SettingsError: naming every fault at once by the variable's name, never a value.
    """
    if environ is None:
        environ = os.environ
        env_file = env_file or ENV_FILE
    layers = [_present(environ)]
    if env_file is not None and env_file.is_file():
        layers.append(_present(dotenv_values(env_file, interpolate=False)))

    values: dict[str, Any] = {}
    faults: list[str] = []
    # Fields whose fault is told already: a missing value is not told a second time, and no rule
    # can look at them.
    bad: set[str] = set()
    for name, field in cls.model_fields.items():
        try:
            text = _text_of(name.upper(), layers, secret=_is_secret(field.annotation))
        except _FaultError as fault:
            faults.append(str(fault))
            bad.add(name)
            continue
        if text is not None:
            values[name] = _split(text) if _is_several(field.annotation) else text
    try:
        settings = cls(**values)
    except ValidationError as error:
        details = error.errors(include_url=False, include_input=False)
        faults += [_fault_line(detail) for detail in details if detail["loc"][0] not in bad]
        bad |= {str(detail["loc"][0]) for detail in details}
        settings = _without(cls, bad, values)
    faults += [
        _line(rule.fields[0], broken)
        for rule in _rules_of(cls)
        if bad.isdisjoint(rule.fields) and (broken := rule.fault(settings))
    ]
    if faults:
        raise SettingsError(sorted(_without_secrets(cls, values, line) for line in faults))
    return settings


def describe(cls: type[TierSettings]) -> list[SettingDoc]:
    """Return the documentation of every setting of this class, in its order.

    Raises:
        ValueError: a field has no description.
    """
    docs = []
    for name, field in cls.model_fields.items():
        if not field.description:
            raise ValueError(f"{cls.__name__}.{name} has no description.")
        docs.append(
            SettingDoc(
                env_name=name.upper(),
                type_name=_type_name(field.annotation),
                default=_default_text(field),
                description=field.description,
                secret=_is_secret(field.annotation),
            )
        )
    return docs


class _FaultError(Exception):
    pass


def _present(layer: Mapping[str, str | None]) -> dict[str, str]:
    return {key: value for key, value in layer.items() if value}


def _rules_of(cls: type[TierSettings]) -> list[Rule]:
    own = [vars(each).get("rules", ()) for each in cls.__mro__ if issubclass(each, TierSettings)]
    return list(dict.fromkeys(rule for rules in own for rule in rules))


def _text_of(env_name: str, layers: Sequence[Mapping[str, str]], *, secret: bool) -> str | None:
    file_name = f"{env_name}_FILE"
    for layer in layers:
        if secret and file_name in layer:
            if env_name in layer:
                raise _FaultError(f"{env_name}: give either {env_name} or {file_name}, not both.")
            return _read_secret(file_name, Path(layer[file_name]))
        if env_name in layer:
            return layer[env_name]
    return None


def _read_secret(file_name: str, path: Path) -> str:
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise _FaultError(f"{file_name}: cannot read {path}: {error.strerror}.") from error
    except UnicodeDecodeError:
        # Not "from": the error carries the file's bytes.
        raise _FaultError(f"{file_name}: {path} is not UTF-8 text.") from None
    text = text.removesuffix("\n").removesuffix("\r")
    if not text:
        raise _FaultError(f"{file_name}: {path} is empty.")
    return text


def _split(text: str) -> list[str]:
    return [part for part in (piece.strip() for piece in text.split(",")) if part]


def _without(cls: type[SettingsT], bad: Collection[str], values: Mapping[str, Any]) -> SettingsT:
    """Return settings whose other fields are valid; those named hold None."""
    anything: Any = (Any, Field(default=None, validate_default=False))
    lenient = create_model(cls.__name__, __base__=cls, **dict.fromkeys(bad, anything))
    return lenient(**{name: value for name, value in values.items() if name not in bad})


def _fault_line(detail: ErrorDetails) -> str:
    message = "is required" if detail["type"] == "missing" else detail["msg"]
    return _line(str(detail["loc"][0]), message.removeprefix("Value error, "))


def _line(field: str, fault: str) -> str:
    return f"{field.upper()}: {fault}".removesuffix(".") + "."


def _without_secrets(cls: type[TierSettings], values: Mapping[str, Any], line: str) -> str:
    # A validator's own message could quote what it was given.
    for name, value in values.items():
        if _is_secret(cls.model_fields[name].annotation):
            line = line.replace(str(value), MASK)
    return line


def _members(annotation: Any) -> tuple[Any, ...]:
    if get_origin(annotation) in (Union, UnionType):
        return get_args(annotation)
    return (annotation,)


def _is_secret(annotation: Any) -> bool:
    return any(member in (SecretStr, SecretBytes) for member in _members(annotation))


def _is_several(annotation: Any) -> bool:
    several = (list, tuple, set, frozenset)
    return any((get_origin(member) or member) in several for member in _members(annotation))


def _type_name(annotation: Any) -> str:
    names = [_member_name(member) for member in _members(annotation) if member is not type(None)]
    return " or ".join(names)


def _member_name(member: Any) -> str:
    if get_origin(member) is Literal:
        return " or ".join(f"`{choice}`" for choice in get_args(member))
    if _is_several(member):
        return "comma-separated list"
    if member is SecretStr or member is SecretBytes:
        return "secret"
    names = {str: "text", int: "integer", float: "number", bool: "boolean", Path: "path"}
    return names.get(member) or str(getattr(member, "__name__", member))


def _default_text(field: FieldInfo) -> str | None:
    default = field.get_default(call_default_factory=True, validated_data={})
    if default is PydanticUndefined or default is None or default == "":
        return None
    if isinstance(default, bool):
        return "true" if default else "false"
    if isinstance(default, (list, tuple, set, frozenset)):
        return ",".join(str(part) for part in default) or None
    return str(default)
