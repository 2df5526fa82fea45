"""What files are listed by, and what is left over is found by."""

from __future__ import annotations

from migrations.steps import add_indexes

revision = "0041"
down_revision = "0040"


def upgrade() -> None:
    add_indexes(
        "files",
        {
            "ix_files_state_created_time_id": ["state", "created_time", "id"],
            "ix_files_state_uploaded_by_created_time_id": [
                "state",
                "uploaded_by",
                "created_time",
                "id",
            ],
        },
    )
