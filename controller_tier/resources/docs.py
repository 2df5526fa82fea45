"""The API's document, and Swagger UI for it, with nothing from anywhere else."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import orjson
from flask import Blueprint, Flask, Response, send_file
from werkzeug.exceptions import NotFound

from controller_tier.documents import JSON_CONTENT
from controller_tier.operations import Answer, Operation, Resource
from tier_runtime.startup import StartupError

PAGE_FOLDER = Path(__file__).parent.parent / "docs_page"

# Swagger UI sets styles of elements by script, which `style-src` does not concern; its icons are
# data: URLs.
PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)

_OURS = ("start.js",)
_SWAGGER_UI = ("swagger-ui.css", "swagger-ui-bundle.js", "favicon-32x32.png", "favicon-16x16.png")


class DocsViews:
    """The views of the document and of its page.

    `document` is called once, when the first reader comes; by then every route is known.
    """

    def __init__(self, document: Callable[[], dict[str, Any]]) -> None:
        self._document = document
        self._text: bytes | None = None
        folder = _swagger_ui_folder()
        self._files = {name: PAGE_FOLDER / name for name in _OURS}
        self._files |= {name: folder / name for name in _SWAGGER_UI}

    def openapi(self) -> Response:
        """Show the document."""
        if self._text is None:
            self._text = orjson.dumps(self._document())
        answer = Response(self._text, content_type=JSON_CONTENT)
        answer.headers["Cache-Control"] = "public, max-age=60"
        return answer

    def page(self) -> Response:
        """Show Swagger UI."""
        return self._file(PAGE_FOLDER / "index.html")

    def asset(self, name: str) -> Response:
        """Send one of the files that the page loads."""
        path = self._files.get(name)
        if path is None:
            raise NotFound
        return self._file(path)

    def _file(self, path: Path) -> Response:
        answer = send_file(path, max_age=3600)
        answer.headers["Content-Security-Policy"] = PAGE_POLICY
        return answer


def docs_resource(views: DocsViews) -> Resource:
    """Return the rows of the document and its page, which have no base path."""
    return Resource(
        "documentation",
        "This document.",
        (
            Operation(
                "GET",
                "/openapi.json",
                "getOpenApi",
                views.openapi,
                "Show the OpenAPI document.",
                (Answer(200, "OpenAPI 3.1.", {"type": "object"}),),
                hops=False,
            ),
            Operation(
                "GET",
                "/docs",
                "getDocs",
                views.page,
                "Show Swagger UI.",
                (Answer(200, "A page.", {"type": "string"}, content_types=("text/html",)),),
                hops=False,
            ),
        ),
        prefix="",
    )


def install_assets(app: Flask, views: DocsViews) -> None:
    """Add the files of the page, which the document does not mention."""
    assets = Blueprint("docs-assets", __name__)
    assets.add_url_rule("/docs/<name>", "asset", views.asset, methods=["GET"])
    app.register_blueprint(assets)


def _swagger_ui_folder() -> Path:
    # The package is a folder of assets to us; importing it would bring its blueprint.
    spec = find_spec("flask_swagger_ui")
    if spec is None or spec.origin is None:
        raise StartupError("Swagger UI's assets (flask-swagger-ui) are not installed.")
    return Path(spec.origin).parent / "dist"
