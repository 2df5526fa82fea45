"""The probe's contract as classes: `probe.proto`, compiled when it is first needed."""

from __future__ import annotations

import tempfile
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import grpc
from google.api import annotations_pb2
from google.protobuf import (
    descriptor_pb2,
    descriptor_pool,
    duration_pb2,
    message_factory,
    timestamp_pb2,
)
from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor
from google.rpc import status_pb2  # type: ignore[import-untyped]  # ships no types
from grpc_tools import protoc  # type: ignore[import-untyped]  # ships no types

SERVICE = "tests.transports.v1.ProbeService"

_FOLDER = Path(__file__).parent
_FILE = "probe.proto"
# What the file imports must be in the pool before it.
IMPORTED = (
    annotations_pb2.DESCRIPTOR,
    duration_pb2.DESCRIPTOR,
    status_pb2.DESCRIPTOR,
    timestamp_pb2.DESCRIPTOR,
)


@cache
def service() -> ServiceDescriptor:
    """Return the service, compiled into the pool that generated code is in."""
    pool = descriptor_pool.Default()
    google = find_spec("google.api")
    assert google is not None
    assert google.submodule_search_locations
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / "probe.binpb"
        arguments = [
            "protoc",
            f"--proto_path={_FOLDER}",
            f"--proto_path={Path(next(iter(google.submodule_search_locations))).parent.parent}",
            f"--proto_path={Path(protoc.__file__).parent / '_proto'}",
            f"--descriptor_set_out={output}",
            _FILE,
        ]
        assert protoc.main(arguments) == 0
        files = descriptor_pb2.FileDescriptorSet.FromString(output.read_bytes())
    for file in files.file:
        pool.AddSerializedFile(file.SerializeToString())
    found: ServiceDescriptor = pool.FindServiceByName(SERVICE)
    return found


def message(name: str) -> Any:
    """Return the class of the contract's message of this name."""
    package = service().file.package
    pool = descriptor_pool.Default()
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{package}.{name}"))


def classes(method: MethodDescriptor) -> tuple[Any, Any]:
    """Return the classes of a method's request and response."""
    return (
        message_factory.GetMessageClass(method.input_type),
        message_factory.GetMessageClass(method.output_type),
    )


class ProbeStub:
    """What a generated stub would be; `raw` takes and gives serialized messages."""

    def __init__(self, channel: grpc.Channel, *, raw: bool = False) -> None:
        self._channel = channel
        self._raw = raw
        for method in service().methods:
            setattr(self, method.name, self._callable(method))

    def _callable(self, method: MethodDescriptor) -> Any:
        streams = ("unary", "stream")
        arity = f"{streams[method.client_streaming]}_{streams[method.server_streaming]}"
        request, response = classes(method)
        codec = (None, None) if self._raw else (request.SerializeToString, response.FromString)
        return getattr(self._channel, arity)(f"/{SERVICE}/{method.name}", *codec)

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(name)
