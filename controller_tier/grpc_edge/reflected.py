"""What server reflection tells strangers: the public RPCs, and what their messages need."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from google.protobuf import descriptor_pool
from google.protobuf.descriptor import Descriptor, EnumDescriptor, FileDescriptor
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool

from controller_tier.access_table import PublicRpc


def public_pool(rpcs: Iterable[PublicRpc], *others: str) -> DescriptorPool:
    """Return a pool of the contracts, less the RPCs that are not public.

    `others` are the full names of services that are told whole, such as health.
    """
    everything = descriptor_pool.Default()
    kept = _Kept(rpcs)
    pool = DescriptorPool()
    added: set[str] = set()

    def add(file: FileDescriptor) -> None:
        """Add what is kept of a file, after all that it imports."""
        if file.name in added:
            return
        added.add(file.name)
        proto = kept.part_of(file)
        imported = set(proto.dependency)
        for dependency in file.dependencies:
            if dependency.name in imported:
                add(dependency)
        pool.Add(proto)

    for file in kept.files:
        add(file)
    for name in others:
        add(everything.FindServiceByName(name).file)
    return pool


class _Kept:
    """What is public of the files that define the public services; other files are kept whole."""

    def __init__(self, rpcs: Iterable[PublicRpc]) -> None:
        pool = descriptor_pool.Default()
        found = [pool.FindMethodByName(rpc.name.replace("/", ".")) for rpc in rpcs]
        self._methods = {method.full_name for method in found}
        self.files = [method.containing_service.file for method in found]
        self._pruned = {file.name for file in self.files}
        types: dict[str, Descriptor | EnumDescriptor] = {}
        for method in found:
            for message in (method.input_type, method.output_type):
                types.update({each.full_name: each for each in _reachable(message, set())})
        self._types = set(types)
        self._needed = {each.file.name for each in types.values()}

    def part_of(self, file: FileDescriptor) -> FileDescriptorProto:
        """Return the file, less what is not public."""
        proto = FileDescriptorProto()
        file.CopyToProto(proto)
        if file.name not in self._pruned:
            return proto
        for service in list(proto.service):
            name = f"{proto.package}.{service.name}"
            methods = [each for each in service.method if f"{name}.{each.name}" in self._methods]
            for method in methods:
                # How the hop behind the edge would carry it over REST is nothing to strangers.
                method.ClearField("options")
            del service.method[:]
            service.method.extend(methods)
            if not methods:
                proto.service.remove(service)
        for message in list(proto.message_type):
            if f"{proto.package}.{message.name}" not in self._types:
                proto.message_type.remove(message)
        imported = [name for name in proto.dependency if name in self._needed]
        del proto.dependency[:]
        proto.dependency.extend(imported)
        return proto


def _reachable(message: Descriptor, seen: set[str]) -> Iterator[Descriptor | EnumDescriptor]:
    """Yield a message, and the messages and enumerations of its fields, each once."""
    if message.full_name in seen:
        return
    seen.add(message.full_name)
    yield message
    for field in message.fields:
        if field.message_type is not None:
            yield from _reachable(field.message_type, seen)
        elif field.enum_type is not None:
            yield field.enum_type
