"""What comes in, against its schema: webargs with JSON and errors as this API has them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Never

from flask import Request
from marshmallow import RAISE, Schema, ValidationError
from webargs.flaskparser import FlaskParser

from controller_tier.json_body import body_of
from controller_tier.problems import FieldsError
from controller_tier.schemas.body import Body


class StrictParser(FlaskParser):
    """Refuses unknown members and parameters, parameters given twice, and bad JSON."""

    # The library declares it as an instance's.
    DEFAULT_UNKNOWN_BY_LOCATION: dict[str, str | None] = {"json": RAISE, "query": RAISE}  # noqa: RUF012 - see above.

    def load_json(self, req: Request, schema: Schema) -> Any:
        """Return the body's value."""
        may_be_absent = isinstance(schema, Body) and schema.may_be_absent
        return body_of(req, may_be_absent=may_be_absent)

    def load_querystring(self, req: Request, schema: Schema) -> dict[str, str]:
        """Return the query's parameters, each of which may be given once."""
        del schema
        repeated = [name for name, values in req.args.lists() if len(values) > 1]
        if repeated:
            raise FieldsError({name: ["Give it once."] for name in repeated})
        return req.args.to_dict()

    def handle_error(
        self,
        error: ValidationError,
        req: Request,
        schema: Schema,
        *,
        error_status_code: int | None,
        error_headers: Mapping[str, str] | None,
    ) -> Never:
        """Raise the fields' faults as an error of ours."""
        del req, schema, error_status_code, error_headers
        raise FieldsError(flat_messages(_without_location(error.messages)))


def flat_messages(messages: Any, path: str = "") -> dict[str, list[str]]:
    """Return nested messages by dotted field path; those about the whole are about `body`."""
    if not isinstance(messages, dict):
        return {path or "body": [str(message) for message in messages]}
    flat: dict[str, list[str]] = {}
    for name, inner in messages.items():
        part = path if name == "_schema" else f"{path}.{name}" if path else str(name)
        flat.update(flat_messages(inner, part))
    return flat


def _without_location(messages: Any) -> Any:
    # webargs puts them under the location that they came from.
    [inner] = messages.values()
    return inner
