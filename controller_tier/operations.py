"""What a route is: one row of the API's table, for routing and document alike."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from flask import Response
from marshmallow import Schema

from controller_tier.access_table import Access, LimitRule, PublicRpc

_DAY = re.compile(r"<day:(\w+)>")

# Values of a body or a query after its schema has loaded them.
Fields = dict[str, Any]
View = Callable[..., Response]


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer that is no error. `schema` None: it has no body."""

    status: int
    description: str
    schema: type[Schema] | Mapping[str, Any] | None = None
    example: Any = None
    headers: tuple[str, ...] = ()
    content_types: tuple[str, ...] = ("application/json",)


@dataclass(frozen=True, slots=True)
class Operation:
    """One method of one path.

    The view is called with the path's parameters, then the loaded body or query where there is
    one. `problems` names the codes that only this operation has; those that follow from the other
    fields are added by the document. Who may call it, and how often, is said by the RPC that it
    stands on; what stands on none is for everyone.
    """

    method: str
    # As Flask writes it, below the resource's prefix: `/users/<id>`.
    path: str
    # The OpenAPI operationId, and Flask's endpoint.
    name: str
    view: View
    summary: str
    answers: tuple[Answer, ...]
    description: str = ""
    rpc: PublicRpc | None = None
    body: type[Schema] | None = None
    body_example: Any = None
    # The schema of a form that the view reads itself, as it comes; then there is no `body`.
    form: Mapping[str, Any] | None = None
    query: type[Schema] | None = None
    problems: tuple[str, ...] = ()
    # Takes Idempotency-Key.
    idempotent: bool = False
    # Takes If-None-Match, or If-Match.
    conditional_read: bool = False
    conditional_write: bool = False
    # Lets everyone in who follows a link of ours, which says on whose behalf: the view reads it.
    by_link: bool = False
    # Asks the service tier, so it can be unavailable or late.
    hops: bool = True

    @property
    def access(self) -> Access:
        """Who may call."""
        return Access.EVERYONE if self.rpc is None or self.by_link else self.rpc.access

    @property
    def limits(self) -> tuple[LimitRule, ...]:
        """How often one may call."""
        return () if self.rpc is None else self.rpc.limits

    @property
    def days(self) -> frozenset[str]:
        """The names of those parameters that are days, and no ids."""
        return frozenset(_DAY.findall(self.path))

    @property
    def takes_body(self) -> bool:
        """Whether a request of it has a body."""
        return self.body is not None or self.form is not None

    @property
    def parameters(self) -> tuple[str, ...]:
        """The names of the path's parameters, in order."""
        return tuple(
            part.removeprefix("<").removesuffix(">").rpartition(":")[2]
            for part in self.path.split("/")
            if part.startswith("<")
        )


@dataclass(frozen=True, slots=True)
class Resource:
    """The operations of one kind of thing; becomes a blueprint and a tag."""

    name: str
    description: str
    operations: tuple[Operation, ...]
    prefix: str = "/api/v1"
