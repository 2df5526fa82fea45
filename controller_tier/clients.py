"""What a session's list shows of the client that began it, made fit to be shown."""

from __future__ import annotations

from ipaddress import ip_address

from controller_tier.rate_limits import without_zone

MAX_USER_AGENT = 255


def shown_address(address: str) -> str:
    """Return an IP address in its usual form, "" where it is none."""
    try:
        return str(ip_address(without_zone(address)))
    except ValueError:
        # Behind a proxy it is a header's text.
        return ""


def shown_agent(user_agent: str) -> str:
    """Return what a client says of itself, as far as a person could read it."""
    # A header may hold any byte.
    return "".join(c for c in user_agent if c.isprintable())[:MAX_USER_AGENT]
