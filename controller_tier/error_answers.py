"""Makes every failure of a request an answer: the outermost catch of the edge."""

from __future__ import annotations

from flask import Flask, Response, request
from gunicorn.http.errors import ParseException  # type: ignore[import-untyped]  # ships no types
from werkzeug.exceptions import HTTPException

from controller_tier.problems import (
    Problem,
    internal_problem,
    problem_from,
    problem_from_http,
    unreadable_problem,
)
from controller_tier.request_scope import current_exchange
from tier_runtime.clock import Clock
from tier_runtime.errors import PEER_NOT_ALLOWED, AppError
from tier_runtime.logs import get_logger


class ErrorAnswers:
    """Turns errors of ours, of the framework and of nobody into problem documents."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._log = get_logger(__name__)

    def install(self, app: Flask) -> None:
        """Register for everything that can be raised."""
        app.register_error_handler(AppError, self._of_ours)
        app.register_error_handler(HTTPException, self._of_the_framework)
        app.register_error_handler(ParseException, self._of_the_server)
        app.register_error_handler(Exception, self._of_nobody)

    def _of_ours(self, error: AppError) -> Response:
        if error.code == PEER_NOT_ALLOWED:
            self._log.error("not_let_in", exc_info=error)
        return self._answer(problem_from(error))

    def _of_the_framework(self, error: HTTPException) -> Response:
        return self._answer(problem_from_http(error))

    def _of_the_server(self, _error: ParseException) -> Response:
        # gunicorn parses a chunked body while the application reads it.
        return self._answer(unreadable_problem())

    def _of_nobody(self, error: Exception) -> Response:
        self._log.error("unexpected_error", exc_info=error)
        return self._answer(internal_problem())

    def _answer(self, problem: Problem) -> Response:
        exchange = current_exchange()
        exchange.problem_code = problem.code
        document = problem.document(
            instance=request.path, request_id=exchange.request_id, now=self._clock.now()
        )
        return Response(document, problem.status, headers=problem.headers())
