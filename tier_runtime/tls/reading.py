"""Which methods only read, by their contract."""

from __future__ import annotations

from google.api import annotations_pb2
from google.protobuf import descriptor_pool

# Many things by their ids: a read whose ids may not fit into a URL.
_BATCH = ":batch-get"


def only_reads(method: str) -> bool:
    """True for "/package.Service/Method" whose google.api.http says that it changes nothing.

    That is a GET, or a POST of the custom verb `batch-get`. A POST of another verb is none even if
    it reads: what takes or gives a secret is one, so that no URL holds it. False for a method that
    no imported contract has.
    """
    service_name, _, name = method.removeprefix("/").rpartition("/")
    try:
        service = descriptor_pool.Default().FindServiceByName(service_name)
        rule = service.methods_by_name[name].GetOptions().Extensions[annotations_pb2.http]
    except KeyError:
        return False
    path: str = rule.post
    return rule.WhichOneof("pattern") == "get" or path.endswith(_BATCH)
