"""The committed OpenAPI document, and holding answers of the running edge to it."""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests
from openapi_schema_validator import OAS31Validator, oas31_format_checker

from tests.system.client import PROBLEM

ROOT = Path(__file__).resolve().parents[2]
DOCUMENT = ROOT / "docs" / "openapi.json"
VERBS = ("get", "put", "post", "patch", "delete")
CODE = re.compile(r"[A-Z]+(_[A-Z]+)+|UNAUTHENTICATED|FORBIDDEN")


@dataclass(frozen=True, slots=True)
class Operation:
    """One method of one path of the document; `path` is the template with the base path."""

    method: str
    path: str

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


class Document:
    """Reads an OpenAPI 3.1 document."""

    def __init__(self, content: dict[str, Any]) -> None:
        self.content = content
        self._operations = {
            Operation(verb.upper(), path): item[verb]
            for path, item in content["paths"].items()
            for verb in VERBS
            if verb in item
        }

    def operations(self) -> list[Operation]:
        return list(self._operations)

    def find(self, method: str, target: str) -> Operation:
        """Find the operation that a request's path leads to; literal segments go first."""
        asked = target.partition("?")[0].split("/")
        fitting = [
            operation
            for operation in self._operations
            if operation.method == method and _fits(operation.path.split("/"), asked)
        ]
        if not fitting:
            raise AssertionError(f"the document has no operation for {method} {target}")
        return min(fitting, key=lambda operation: operation.path.count("{"))

    def codes(self, operation: Operation) -> dict[str, set[str]]:
        """Give the problem codes that an operation declares, by status."""
        return {
            status: set(self._codes_in(self._resolved(response)))
            for status, response in self._operations[operation]["responses"].items()
            if status[0] in "45"
        }

    def check(self, method: str, target: str, response: requests.Response) -> None:
        """Hold an answer to what the document declares: status, type, headers, schema and code.

        Raises:
            AssertionError: when anything was not declared so.
        """
        operation = self.find(method, target)
        where = f"{operation} → {response.status_code}"
        responses = self._operations[operation]["responses"]
        assert str(response.status_code) in responses, f"{where} is not declared: {response.text}"
        declared = self._resolved(responses[str(response.status_code)])
        for name, header in declared.get("headers", {}).items():
            if self._resolved(header).get("required"):
                assert name in response.headers, f"{where} lacks the header {name}"
        content = declared.get("content", {})
        if not response.content:
            assert not content, f"{where} has no body, and one is declared"
            return
        media_type = response.headers["Content-Type"].partition(";")[0]
        assert media_type in content, f"{where}: {media_type} is not declared"
        if media_type in {"application/json", PROBLEM}:
            self._check_schema(where, content[media_type].get("schema", {}), response.json())
        if media_type == PROBLEM:
            codes = self.codes(operation)[str(response.status_code)]
            assert response.json()["code"] in codes, f"{where}: {response.json()['code']}"

    def _check_schema(self, where: str, schema: dict[str, Any], value: object) -> None:
        # References lead into the components, so these go along.
        whole = {**schema, "components": self.content["components"]}
        validator = OAS31Validator(whole, format_checker=oas31_format_checker)
        faults = [f"{each.json_path}: {each.message}" for each in validator.iter_errors(value)]
        assert not faults, f"{where}: {faults}"

    def _resolved(self, node: dict[str, Any]) -> dict[str, Any]:
        while "$ref" in node:
            node = functools.reduce(
                lambda at, key: at[key], node["$ref"].removeprefix("#/").split("/"), self.content
            )
        return node

    def _codes_in(self, node: object, depth: int = 0) -> Iterator[str]:
        """Yield the codes that a response names as values, wherever in its schema they stand."""
        if isinstance(node, dict):
            for key, value in self._resolved(node).items():
                if key not in {"description", "title", "summary"}:
                    yield from self._codes_in(value, depth + 1)
        elif isinstance(node, list):
            for value in node:
                yield from self._codes_in(value, depth + 1)
        elif isinstance(node, str) and CODE.fullmatch(node):
            yield node


def _fits(template: list[str], asked: list[str]) -> bool:
    return len(template) == len(asked) and all(
        known == given or (known.startswith("{") and given != "")
        for known, given in zip(template, asked, strict=True)
    )


@functools.cache
def committed_document() -> Document:
    return Document(json.loads(DOCUMENT.read_text()))
