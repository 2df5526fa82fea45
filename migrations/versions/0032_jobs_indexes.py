"""What jobs are listed, published and found forgotten by."""

from __future__ import annotations

from migrations.steps import add_indexes

revision = "0032"
down_revision = "0031"


def upgrade() -> None:
    add_indexes(
        "jobs",
        {
            "ix_jobs_created_time_id": ["created_time", "id"],
            "ix_jobs_status_created_time_id": ["status", "created_time", "id"],
            "ix_jobs_name_created_time_id": ["name", "created_time", "id"],
            "ix_jobs_name_status_created_time_id": ["name", "status", "created_time", "id"],
            "ix_jobs_status_published_time_due_time": ["status", "published_time", "due_time"],
            "ix_jobs_status_lease_expire_time": ["status", "lease_expire_time"],
            "ix_jobs_status_finished_time": ["status", "finished_time"],
        },
    )
