"""Events: the live view of admins."""

from __future__ import annotations

import re

from flask import Response, request

from controller_tier.access_table import Access, AccessTable
from controller_tier.admission import Admission
from controller_tier.conversion.events import server_sent, stream_events_request
from controller_tier.event_feeds import EventFeeds
from controller_tier.operations import Answer, Fields, Operation, Resource
from controller_tier.problems import FieldsError
from controller_tier.resources.examples import EVENT_STREAM
from controller_tier.schemas import events

EVENT_STREAM_TYPE = "text/event-stream"
LAST_EVENT_ID = "Last-Event-ID"


class EventViews:
    """The view of events."""

    def __init__(self, feeds: EventFeeds, admission: Admission) -> None:
        self._feeds = feeds
        self._admission = admission

    def stream_events(self, query: Fields) -> Response:
        """Stream events until somebody ends it."""
        last = request.headers.get(LAST_EVENT_ID, "")
        if last and re.fullmatch(events.EVENT_ID, last) is None:
            raise FieldsError({LAST_EVENT_ID: ["Not the id of an event."]})
        authorization = request.headers.get("Authorization", "")
        feed = self._feeds.open(
            stream_events_request(query, last),
            # Who loses the session or the role meanwhile sees no more.
            lambda: self._admission.admit(Access.ADMIN, authorization),
            server_sent,
        )
        answer = Response(feed, content_type=EVENT_STREAM_TYPE)
        # Proxies that gather what passes through them let it pass then.
        answer.headers["X-Accel-Buffering"] = "no"
        return answer


def events_resource(views: EventViews, rpcs: AccessTable) -> Resource:
    """Return the row of /events."""
    return Resource(
        "events",
        "Events: what happens, as it happens.",
        (
            Operation(
                "GET",
                "/events",
                "streamEvents",
                views.stream_events,
                "Stream events as they are published.",
                (
                    Answer(
                        200,
                        "Server-sent events: `id` is the event's id, `event` its type, `data` the "
                        "event as JSON. Comments come now and then as a sign of life.",
                        {"type": "string"},
                        EVENT_STREAM,
                        content_types=(EVENT_STREAM_TYPE,),
                    ),
                ),
                description="The stream ends after some minutes, and when the server stops; come "
                "back with `Last-Event-ID`, as a browser's EventSource does by itself. An event "
                "may come more than once, with the same id. Few streams may be open at a time.",
                query=events.EventsQuery,
                rpc=rpcs.of("EventService/StreamEvents"),
            ),
        ),
    )
