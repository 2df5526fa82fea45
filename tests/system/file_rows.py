"""The rows of single files, each with a request that succeeds.

What comes as a form, and what goes out as bytes, is no row: test_files has them.
"""

from __future__ import annotations

from tests.system.client import expect
from tests.system.rows import Prepare, Prepared, Row
from tests.system.uploading import PNG, upload
from tests.system.world import World


def _of_a_file(path: str) -> Prepare:
    """Ask as the one who uploaded it."""

    def prepare(world: World) -> Prepared:
        file = expect(upload(world.edge, world.resident.bearer, PNG), 201)
        return path.format(id=file["id"]), world.resident.bearer, None

    return prepare


FILE_ROWS: tuple[Row, ...] = (
    Row("GET", "/files/{id}", "signed in", 200, _of_a_file("/files/{id}"), etag=True),
    Row("GET", "/files/{id}/download", "signed in", 200, _of_a_file("/files/{id}/download")),
    Row("DELETE", "/files/{id}", "signed in", 204, _of_a_file("/files/{id}"), etag=True),
)
