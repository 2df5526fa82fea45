"""The contracts hold to the rules that the tiers build on."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
from google.api import annotations_pb2
from google.protobuf.descriptor import Descriptor, MethodDescriptor, ServiceDescriptor
from google.protobuf.internal.enum_type_wrapper import EnumTypeWrapper
from google.protobuf.message import Message

from arcana.common.v1 import tier_status_pb2
from arcana.repository.v1 import (
    cleanup_repository_pb2,
    event_repository_pb2,
    file_repository_pb2,
    job_repository_pb2,
    order_repository_pb2,
    product_repository_pb2,
    rate_limit_repository_pb2,
    report_repository_pb2,
    session_repository_pb2,
    user_repository_pb2,
    user_sync_repository_pb2,
)
from arcana.repository.v1 import file_pb2 as repository_file_pb2
from arcana.repository.v1 import job_pb2 as repository_job_pb2
from arcana.repository.v1 import order_pb2 as repository_order_pb2
from arcana.repository.v1 import product_pb2 as repository_product_pb2
from arcana.repository.v1 import report_pb2 as repository_report_pb2
from arcana.repository.v1 import user_pb2 as repository_user_pb2
from arcana.service.v1 import (
    auth_service_pb2,
    event_service_pb2,
    file_service_pb2,
    job_service_pb2,
    order_service_pb2,
    product_service_pb2,
    rate_limit_service_pb2,
    user_service_pb2,
)
from arcana.service.v1 import file_pb2 as service_file_pb2
from arcana.service.v1 import job_pb2 as service_job_pb2
from arcana.service.v1 import order_pb2 as service_order_pb2
from arcana.service.v1 import product_pb2 as service_product_pb2
from arcana.service.v1 import report_pb2 as service_report_pb2
from arcana.service.v1 import user_pb2 as service_user_pb2
from controller_tier.service_channels import READ_METHODS
from service_tier.repository import SAFE_TO_REPEAT
from tier_runtime.catalogue import CATALOGUE

ROOT = Path(__file__).resolve().parents[2]
PROTOS = sorted((ROOT / "shared_protos").rglob("*.proto"))
SERVICE_FILES = (
    auth_service_pb2,
    user_service_pb2,
    rate_limit_service_pb2,
    product_service_pb2,
    order_service_pb2,
    job_service_pb2,
    event_service_pb2,
    file_service_pb2,
)
REPOSITORY_FILES = (
    user_repository_pb2,
    session_repository_pb2,
    product_repository_pb2,
    order_repository_pb2,
    file_repository_pb2,
    event_repository_pb2,
    rate_limit_repository_pb2,
    job_repository_pb2,
    report_repository_pb2,
    cleanup_repository_pb2,
    user_sync_repository_pb2,
)
COMMON_FILES = (tier_status_pb2,)
# Words of google.rpc.Code that stand before an error code in a contract's comments.
STATUS_AND_CODE = re.compile(r"\b([A-Z_]+)/([A-Z][A-Z_]+)\b")


def _services() -> Iterator[ServiceDescriptor]:
    for module in (*SERVICE_FILES, *REPOSITORY_FILES, *COMMON_FILES):
        yield from module.DESCRIPTOR.services_by_name.values()


def _methods() -> list[MethodDescriptor]:
    return [method for service in _services() for method in service.methods]


def _messages(descriptor: Descriptor) -> Iterator[Descriptor]:
    """Yield a message and every message of ours that it is made of."""
    seen: dict[str, Descriptor] = {}
    waiting = [descriptor]
    while waiting:
        current = waiting.pop()
        if current.full_name not in seen:
            seen[current.full_name] = current
            waiting += [field.message_type for field in current.fields if field.message_type]
    yield from seen.values()


def _generate(option: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "shared_protos" / "generate.py"), option]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_committed_code_is_what_the_contracts_generate() -> None:
    result = _generate("--check")
    assert result.returncode == 0, result.stderr


def test_contracts_pass_lint_and_break_no_released_contract() -> None:
    result = _generate("--lint")
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize("method", _methods(), ids=lambda method: method.full_name)
def test_every_method_has_a_verb_and_path_of_its_own(method: MethodDescriptor) -> None:
    # No verb of HTTP sends a stream of messages, so such a method has the path of its name.
    if method.client_streaming:
        assert not method.GetOptions().HasExtension(annotations_pb2.http)
        return
    rule = method.GetOptions().Extensions[annotations_pb2.http]
    verb = rule.WhichOneof("pattern")
    assert verb in {"get", "post", "put", "patch", "delete"}
    path = getattr(rule, verb)
    tier = method.containing_service.file.package.split(".")[1]
    assert path.startswith(f"/{tier}/v1/")
    names = set(method.input_type.fields_by_name)
    assert set(re.findall(r"{(\w+)}", path)) <= names
    assert rule.body == ("" if verb in {"get", "delete"} else "*")


def test_no_two_methods_share_a_verb_and_path() -> None:
    routes = []
    for method in _methods():
        options = method.GetOptions()
        if options.HasExtension(annotations_pb2.http):
            rule = options.Extensions[annotations_pb2.http]
            verb = rule.WhichOneof("pattern")
            routes.append((verb, re.sub(r"{\w+}", "{}", getattr(rule, verb))))
    assert len(routes) == len(set(routes))
    assert routes


@pytest.mark.parametrize("method", _methods(), ids=lambda method: method.full_name)
def test_every_method_has_a_request_and_response_of_its_own(method: MethodDescriptor) -> None:
    assert method.input_type.name == f"{method.name}Request"
    assert method.output_type.name == f"{method.name}Response"


@pytest.mark.parametrize(
    ("service", "repository"),
    [
        (service_user_pb2.User, repository_user_pb2.User),
        (service_user_pb2.UserProfile, repository_user_pb2.UserProfile),
        (user_service_pb2.UserFilter, user_repository_pb2.UserFilter),
        (user_service_pb2.GetUserResponse, user_repository_pb2.GetUserResponse),
        (user_service_pb2.BatchGetUsersResult, user_repository_pb2.BatchGetUsersResult),
        (user_service_pb2.BatchGetUsersResponse, user_repository_pb2.BatchGetUsersResponse),
        (user_service_pb2.ListUsersResponse, user_repository_pb2.ListUsersResponse),
        (auth_service_pb2.Session, session_repository_pb2.Session),
        (auth_service_pb2.EndedSession, session_repository_pb2.EndedSession),
        (auth_service_pb2.RoleChange, session_repository_pb2.RoleChange),
        (service_product_pb2.Product, repository_product_pb2.Product),
        (service_product_pb2.StockMovement, repository_product_pb2.StockMovement),
        (product_service_pb2.ProductFilter, product_repository_pb2.ProductFilter),
        (product_service_pb2.GetProductResponse, product_repository_pb2.GetProductResponse),
        (
            product_service_pb2.BatchGetProductsResult,
            product_repository_pb2.BatchGetProductsResult,
        ),
        (
            product_service_pb2.BatchGetProductsResponse,
            product_repository_pb2.BatchGetProductsResponse,
        ),
        (product_service_pb2.ListProductsResponse, product_repository_pb2.ListProductsResponse),
        (
            product_service_pb2.ListStockMovementsResponse,
            product_repository_pb2.ListStockMovementsResponse,
        ),
        (service_order_pb2.Order, repository_order_pb2.Order),
        (service_order_pb2.OrderItem, repository_order_pb2.OrderItem),
        (order_service_pb2.OrderFilter, order_repository_pb2.OrderFilter),
        (order_service_pb2.GetOrderResponse, order_repository_pb2.GetOrderResponse),
        (order_service_pb2.ListOrdersResponse, order_repository_pb2.ListOrdersResponse),
        (service_job_pb2.Job, repository_job_pb2.Job),
        (service_job_pb2.JobProgress, repository_job_pb2.JobProgress),
        (service_job_pb2.JobError, repository_job_pb2.JobError),
        (service_report_pb2.DailyReport, repository_report_pb2.DailyReport),
        (service_report_pb2.CurrencyRevenue, repository_report_pb2.CurrencyRevenue),
        (service_report_pb2.TopProduct, repository_report_pb2.TopProduct),
        (service_report_pb2.LowStockProduct, repository_report_pb2.LowStockProduct),
        (job_service_pb2.GetDailyReportResponse, report_repository_pb2.GetDailyReportResponse),
        (job_service_pb2.JobFilter, job_repository_pb2.JobFilter),
        (job_service_pb2.GetJobResponse, job_repository_pb2.GetJobResponse),
        (job_service_pb2.ListJobsResponse, job_repository_pb2.ListJobsResponse),
        (service_file_pb2.File, repository_file_pb2.File),
        (file_service_pb2.ListFilesResponse, file_repository_pb2.ListFilesResponse),
        (file_service_pb2.GetDownloadResponse, file_repository_pb2.SignDownloadUrlResponse),
        (rate_limit_service_pb2.RateLimitBucket, rate_limit_repository_pb2.RateLimitBucket),
        (rate_limit_service_pb2.RateLimitState, rate_limit_repository_pb2.RateLimitState),
    ],
    ids=lambda message: message.DESCRIPTOR.full_name,
)
def test_messages_that_pass_through_have_equal_fields_on_both_boundaries(
    service: type[Message], repository: type[Message]
) -> None:
    def shape(message: type[Message]) -> list[tuple[object, ...]]:
        return [
            (field.number, field.name, field.type, field.is_repeated, field.has_presence)
            for field in message.DESCRIPTOR.fields
        ]

    assert shape(service) == shape(repository)


@pytest.mark.parametrize("module", [user_service_pb2, user_repository_pb2])
def test_a_found_user_of_a_batch_has_the_bytes_of_an_answer_of_its_own(module: ModuleType) -> None:
    user = {"id": "0192", "name": "Ann", "roles": ["admin", "user"], "version": 7}
    single = module.GetUserResponse(user=user)
    assert module.BatchGetUsersResult(user=user).SerializeToString() == single.SerializeToString()


@pytest.mark.parametrize("module", [product_service_pb2, product_repository_pb2])
def test_a_found_product_of_a_batch_has_the_bytes_of_an_answer_of_its_own(
    module: ModuleType,
) -> None:
    product = {"id": "0192", "name": "Lamp", "price_minor": 1999, "version": 7}
    single = module.GetProductResponse(product=product).SerializeToString()
    assert module.BatchGetProductsResult(product=product).SerializeToString() == single


def test_a_found_product_of_a_search_is_sent_as_the_field_it_was_found_in() -> None:
    # Each product of the repository tier's one answer becomes an answer of a stream.
    (found,) = product_repository_pb2.SearchProductsResponse.DESCRIPTOR.fields[:1]
    (streamed,) = product_service_pb2.SearchProductsResponse.DESCRIPTOR.fields
    assert (found.number, found.is_repeated) == (1, True)
    assert (streamed.number, streamed.is_repeated) == (1, False)
    for field in (found, streamed):
        assert field.message_type is not None
        assert field.message_type.name == "Product"


@pytest.mark.parametrize(
    ("service", "repository"),
    [
        (service_user_pb2.UserStatus, repository_user_pb2.UserStatus),
        (service_product_pb2.ProductStatus, repository_product_pb2.ProductStatus),
        (service_order_pb2.OrderStatus, repository_order_pb2.OrderStatus),
        (service_order_pb2.Pricing, repository_order_pb2.Pricing),
        (service_job_pb2.JobStatus, repository_job_pb2.JobStatus),
    ],
    ids=lambda enum: enum.DESCRIPTOR.full_name,
)
def test_enums_of_what_passes_through_have_equal_values_on_both_boundaries(
    service: EnumTypeWrapper, repository: EnumTypeWrapper
) -> None:
    assert dict(service.items()) == dict(repository.items())


def test_no_answer_of_the_service_tier_can_hold_a_hash_or_a_path() -> None:
    forbidden = re.compile(r"hash|sha256|password|storage_path")
    for module in SERVICE_FILES:
        for service in module.DESCRIPTOR.services_by_name.values():
            for method in service.methods:
                for message in _messages(method.output_type):
                    for field in message.fields:
                        name = f"{message.name}.{field.name}"
                        # What a file has in it is its owner's to know.
                        assert name == "File.sha256" or not forbidden.search(field.name), name


@pytest.mark.parametrize("path", PROTOS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_error_code_in_a_comment_is_in_the_catalogue(path: Path) -> None:
    named = {code for _, code in STATUS_AND_CODE.findall(path.read_text())}
    assert named <= CATALOGUE.keys()


# What is sent a second time although it writes, and why that is no harm.
REPEATED_WRITES = {
    "UserRepository/CreateOneTimeToken": "Its id is the caller's: a second one finds the first.",
    "SessionRepository/CreateSession": "Its id is the caller's: a second one finds the first.",
    "SessionRepository/EndSessionByRefreshToken": "A session that has ended stays ended.",
    "SessionRepository/EndUserSessions": "Sessions that have ended stay ended.",
    "EventRepository/AppendEvents": "Their ids are the caller's: a second one finds them.",
    "EventRepository/SettleEvents": "What is settled is passed over.",
    "JobRepository/EnqueueJobs": "Their ids are the caller's: a second one finds them.",
    "JobRepository/ReportJobProgress": "It writes what it has written, by the same lease.",
    "JobRepository/FinishJob": "The lease is the caller's: a second one finds the job finished.",
    "ReportRepository/MakeDailyReport": "It counts again, and keeps the newer report.",
    "CleanupRepository/DeleteExpired": "What has been removed is not there to be removed.",
    "UserSyncRepository/RecordUserSyncs": "It writes what it has written, for the same version.",
    "JobRepository/FailJob": "The lease is the caller's: a second one finds the attempt ended.",
}
# What only reads and is sent once all the same, and why.
READ_ONCE = {
    "AuthService/ListAccessChanges": "It is asked anew every 0.25 s, which is as good.",
}


def _comments() -> dict[str, str]:
    """Give the comment above each RPC of ours, by "Service/Method"."""
    comments = {}
    for path in PROTOS:
        service, comment = "", ""
        for line in map(str.strip, path.read_text().splitlines()):
            if line.startswith("//"):
                comment += f"{line.removeprefix('//').strip()}\n"
                continue
            if match := re.match(r"service (\w+)", line):
                service = match[1]
            elif match := re.match(r"rpc (\w+)", line):
                comments[f"{service}/{match[1]}"] = comment
            comment = ""
    return comments


def test_every_method_has_a_comment_that_says_what_it_is() -> None:
    names = {f"{method.containing_service.name}/{method.name}" for method in _methods()}
    comments = _comments()
    assert comments.keys() == names
    assert all(comments.values())


@pytest.mark.parametrize(
    ("methods", "files"),
    [(READ_METHODS, SERVICE_FILES), (SAFE_TO_REPEAT, REPOSITORY_FILES)],
    ids=["edge", "service"],
)
def test_what_is_sent_twice_is_what_the_comments_call_read_only(
    methods: tuple[str, ...], files: tuple[ModuleType, ...]
) -> None:
    services = {name for module in files for name in module.DESCRIPTOR.services_by_name}
    of_boundary = {
        name: comment for name, comment in _comments().items() if name.partition("/")[0] in services
    }
    reads = {name for name, comment in of_boundary.items() if "Read only." in comment}
    sent_twice = {method.rpartition(".")[2] for method in methods}
    assert len(sent_twice) == len(methods)
    assert reads - READ_ONCE.keys() <= sent_twice
    assert sent_twice <= (reads - READ_ONCE.keys()) | REPEATED_WRITES.keys()
    for name in sent_twice - reads:
        assert "Idempotent" in of_boundary[name], name


def test_the_exceptions_are_needed() -> None:
    sent_twice = {method.rpartition(".")[2] for method in (*READ_METHODS, *SAFE_TO_REPEAT)}
    comments = _comments()
    assert REPEATED_WRITES.keys() <= sent_twice
    for name in REPEATED_WRITES:
        assert "Read only." not in comments[name], name
    for name in READ_ONCE:
        assert "Read only." in comments[name], name


def test_the_comments_name_errors_at_all() -> None:
    text = "".join(path.read_text() for path in PROTOS)
    assert len(STATUS_AND_CODE.findall(text)) > 50


def test_no_number_is_a_float() -> None:
    for method in _methods():
        for top in (method.input_type, method.output_type):
            for message in _messages(top):
                for field in message.fields:
                    assert field.cpp_type not in {field.CPPTYPE_FLOAT, field.CPPTYPE_DOUBLE}
