"""What our HTTP workers say about a request in its WSGI environment, beyond what WSGI asks for."""

from __future__ import annotations

# How long the request waited for a thread, in seconds.
WAITED_SECONDS = "arcana.waited_seconds"
# Returns what has come of a body, as soon as there is something; b"" at its end, and where its
# sender has left. gunicorn's own reading waits until all that was asked for is there.
TAKE_INPUT = "arcana.take_input"
# The client's socket; gunicorn's own name for it.
SOCKET = "gunicorn.socket"
