"""The edge's worker: what never reaches the application is answered by a problem document."""

from __future__ import annotations

from controller_tier.answer_headers import SECURITY_HEADERS
from controller_tier.problems import MALFORMED_REQUEST, Problem, internal_problem, phrase_of
from controller_tier.request_scope import REQUEST_ID_HEADER
from tier_runtime.clock import SystemClock
from tier_runtime.http_worker import HttpWorker
from tier_runtime.ids import Uuid7Source
from tier_runtime.raw_answers import RawAnswer


class EdgeWorker(HttpWorker):
    """The worker whose own answers are those of the edge."""

    def raw_answer(self, status: int, detail: str) -> RawAnswer:
        """Return a problem document."""
        problem = (
            internal_problem() if status >= 500 else Problem(status, MALFORMED_REQUEST, detail)
        )
        request_id = Uuid7Source().new_id()
        # Without a request line there is no path.
        body = problem.document(instance="/", request_id=request_id, now=SystemClock().now())
        headers = {**problem.headers(), **SECURITY_HEADERS, REQUEST_ID_HEADER: request_id}
        return RawAnswer(problem.status, phrase_of(problem.status), headers, body)
