"""The end of sessions, which is part of many other changes."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, update

from repository_tier.tables import sessions


def end_session(connection: Connection, session_id: str, now: datetime) -> None:
    """End one session, unless it has ended."""
    connection.execute(
        update(sessions)
        .where(sessions.c.id == session_id, sessions.c.ended_time.is_(None))
        .values(ended_time=now)
    )


def end_sessions_of(
    connection: Connection, user_id: str, now: datetime, kept_session_id: str = ""
) -> None:
    """End all sessions of a user, save one if it is named."""
    ending = update(sessions).where(sessions.c.user_id == user_id, sessions.c.ended_time.is_(None))
    if kept_session_id:
        ending = ending.where(sessions.c.id != kept_session_id)
    connection.execute(ending.values(ended_time=now))
