"""What holds of every transport, held of it over TLS: errors, deadlines, metadata, streams."""

from __future__ import annotations

from tests.tier.transports.test_calls import *  # noqa: F403 - its tests, on this folder's fixtures
from tests.tier.transports.test_deadlines import *  # noqa: F403
from tests.tier.transports.test_errors import *  # noqa: F403
from tests.tier.transports.test_streams import *  # noqa: F403
