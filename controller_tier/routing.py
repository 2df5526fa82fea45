"""Makes Flask routes of operations: who may call, what comes in, how often."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from flask import Response, request
from flask_smorest import Blueprint  # type: ignore[import-untyped]  # ships no types
from werkzeug.routing import BaseConverter

from controller_tier.access_table import Access, LimitRule
from controller_tier.admission import ADMIN
from controller_tier.arguments import StrictParser
from controller_tier.authentication import Authentication, current_actor
from controller_tier.denials import Denials, Refused, untold
from controller_tier.fields import uuid_from
from controller_tier.openapi_parts import complete
from controller_tier.operations import Fields, Operation, Resource, View
from controller_tier.problems import FieldsError
from controller_tier.rate_limits import (
    Bucket,
    RateLimits,
    rate_limit_headers,
    refuse_if_empty,
    refusing,
)
from controller_tier.request_scope import current_exchange
from tier_runtime.call import Actor
from tier_runtime.days import day_from
from tier_runtime.errors import AppError


class IdConverter(BaseConverter):
    """One segment of a path that is an id, or ought to be; some words are names of their own."""

    # Otherwise a method that `/products/search` has not would be one of a product of that id.
    regex = "(?!(?:me|search|bulk-email|sync-users|cleanup-tokens|daily-report)(?:/|$))[^/]+"


class DayConverter(BaseConverter):
    """One segment of a path that is a day, or ought to be."""


class OperationBlueprint(Blueprint):  # type: ignore[misc]  # its base has no types
    """A blueprint whose arguments are parsed strictly, and documented from their table."""

    ARGUMENTS_PARSER = StrictParser()

    def __init__(self, resource: Resource) -> None:
        super().__init__(
            resource.name,
            __name__,
            description=resource.description,
            url_prefix=resource.prefix or None,
        )
        self._operations = {operation.name: operation for operation in resource.operations}
        # After the library's own, which describe body, query and path.
        self._prepare_doc_cbks.append(self._complete_document)

    def _complete_document(
        self, document: dict[str, Any], noted: Mapping[str, Any], **_context: Any
    ) -> dict[str, Any]:
        return complete(document, self._operations[noted["operation"]])


class Router:
    """Makes blueprints of resources."""

    def __init__(
        self, authentication: Authentication, limits: RateLimits | None, denials: Denials
    ) -> None:
        self._limits = limits
        self._denials = denials
        self._guards: Mapping[Access, Callable[[View, Refused], View]] = {
            Access.EVERYONE: lambda view, _refused: view,
            Access.OPTIONAL: authentication.optional_auth,
            Access.SIGNED_IN: authentication.jwt_required,
            Access.ADMIN: authentication.role_required(ADMIN),
        }

    def blueprint(self, resource: Resource) -> OperationBlueprint:
        """Return the resource's blueprint, documented."""
        blueprint = OperationBlueprint(resource)
        for operation in resource.operations:
            blueprint.add_url_rule(
                operation.path,
                operation.name,
                self._endpoint(blueprint, operation),
                methods=[operation.method],
            )
        return blueprint

    def _endpoint(self, blueprint: OperationBlueprint, operation: Operation) -> View:
        """Wrap the view. From the outside in: access, path, body or query, limits."""
        view = self._limited(operation)
        if operation.body is not None:
            view = blueprint.arguments(
                operation.body,
                location="json",
                error_status_code=400,
                example=operation.body_example,
            )(view)
        if operation.query is not None:
            view = blueprint.arguments(operation.query, location="query", error_status_code=400)(
                view
            )
        endpoint = self._guards[operation.access](
            _located(operation, view), self._refusals_of(operation)
        )
        # Where flask-smorest looks for what its decorators noted; it copies it deeply.
        noted = getattr(view, "_apidoc", {})
        endpoint.__dict__["_apidoc"] = {**noted, "operation": operation.name}
        return endpoint

    def _refusals_of(self, operation: Operation) -> Callable[..., None]:
        """Return what records that somebody may not do this, or not so often."""
        if operation.rpc is None:
            # Those are for everybody, and without a limit.
            return untold
        method = operation.rpc.path

        def refused(
            error: AppError, actor: Actor, email: str = "", limits: Sequence[Bucket] = ()
        ) -> None:
            self._denials.record(
                method,
                error,
                actor,
                request_id=current_exchange().request_id,
                client_address=request.remote_addr or "",
                email=email,
                limits=limits,
            )

        return refused

    def _limited(self, operation: Operation) -> View:
        limits, rules, view = self._limits, operation.limits, operation.view
        refused = self._refusals_of(operation)
        if limits is None or not rules:
            return view

        def counted(*args: Any) -> Response:
            body = args[-1] if operation.body is not None else {}
            states = limits.take([_bucket(rule, body) for rule in rules])
            current_exchange().headers.update(rate_limit_headers(states))
            try:
                refuse_if_empty(states)
            except AppError as error:
                refused(error, current_actor(), body.get("email", ""), refusing(states))
                raise
            return view(*args)

        return counted


def _located(operation: Operation, view: View) -> View:
    """Return a function that calls the view with the path's ids and days, in their order."""
    days = operation.days
    readers = [
        (name, lambda text: day_from(text).isoformat(), "Not a valid date, such as 2026-11-21.")
        if name in days
        else (name, uuid_from, "Not a valid UUID.")
        for name in operation.parameters
    ]

    def endpoint(**path: str) -> Response:
        found, faults = [], {}
        for name, read, fault in readers:
            try:
                found.append(read(path[name]))
            except ValueError:
                faults[name] = [fault]
        if faults:
            raise FieldsError(faults)
        return view(*found)

    return endpoint


def _bucket(rule: LimitRule, body: Fields) -> Bucket:
    return rule.bucket(
        address=request.remote_addr,
        email=body.get("email", ""),
        subject=current_actor().subject,
    )
