"""Every RPC of the repository tier is classed: what only reads, and all else."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

from google.protobuf import descriptor_pool

from tier_runtime.tls.reading import only_reads

PACKAGE = Path(__file__).resolve().parents[2] / "shared_protos" / "arcana" / "repository" / "v1"

# What REPOSITORY_READERS may call. A new RPC that reads must be added here, after a look at what it
# gives away: no password hash, no token, and nothing that can be used like one.
READS = {
    "EventRepository": {"FollowEvents", "GetEventLag", "ListDeadEvents"},
    "FileRepository": {"GetFile", "ListFiles", "ReadFile", "SignDownloadUrl"},
    "JobRepository": {"GetJob", "ListJobs"},
    "OrderRepository": {"GetOrder", "ListOrders"},
    "ProductRepository": {
        "BatchGetProducts",
        "GetProduct",
        "ListProducts",
        "ListStockMovements",
        "SearchProducts",
    },
    "ReportRepository": {"GetDailyReport"},
    "SessionRepository": {"GetSession", "ListAccessChanges", "ListSessions"},
    "UserRepository": {"BatchGetUsers", "GetUser", "GetUserProfile", "ListUsers"},
    "UserSyncRepository": {"ListPendingUsers"},
}
# They change nothing, and give or take what is secret.
SECRET = {"UserRepository": {"GetCredentials", "GetOneTimeToken"}}
_READING = ("Get", "List", "BatchGet", "Search", "Read", "Follow")


def methods() -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for path in sorted(PACKAGE.glob("*_repository.proto")):
        import_module(f"arcana.repository.v1.{path.stem}_pb2")
        file = descriptor_pool.Default().FindFileByName(f"arcana/repository/v1/{path.name}")
        for name, service in file.services_by_name.items():
            found[name] = {method.name for method in service.methods}
    return found


def test_the_contract_says_of_every_rpc_whether_it_only_reads() -> None:
    classed = {
        service: {name for name in names if only_reads(f"/arcana.repository.v1.{service}/{name}")}
        for service, names in methods().items()
    }
    assert {service: names for service, names in classed.items() if names} == READS


def test_no_rpc_whose_name_says_that_it_reads_is_forgotten() -> None:
    named = {
        service: {name for name in names if name.startswith(_READING)}
        for service, names in methods().items()
    }
    for service, names in named.items():
        assert names - {"ReadFile"} <= READS.get(service, set()) | SECRET.get(service, set())


def test_a_method_that_no_contract_has_does_not_read() -> None:
    assert not only_reads("/arcana.repository.v1.UserRepository/Nothing")
    assert not only_reads("/nobody.v1.Nothing/GetNothing")
