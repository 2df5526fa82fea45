"""What our HTTP workers say about a request in its WSGI environment, beyond what WSGI asks for."""

from __future__ import annotations

# How long the request waited for a thread, in seconds.
WAITED_SECONDS = "arcana.waited_seconds"
# Returns what has come of a body whose length nobody knows, as soon as there is something; b"" at
# its end. gunicorn's own reading waits until 1 kB is there.
TAKE_INPUT = "arcana.take_input"
# The client's socket; gunicorn's own name for it.
SOCKET = "gunicorn.socket"
