"""What the edge itself refuses, for the audit log; what the tiers behind it refuse they record."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from controller_tier.access_table import PACKAGE
from controller_tier.clients import shown_address
from controller_tier.counted_denials import CountedDenials, Source
from controller_tier.rate_limits import Bucket
from tier_runtime.audit import Act, AuditTrail, Fact, address_digest, outcome_of
from tier_runtime.call import Actor
from tier_runtime.clock import Clock
from tier_runtime.errors import AppError
from tier_runtime.kinds import Kind

# Told of a refusal, and of whom it met as far as that is known.
Refused = Callable[[AppError, Actor], None]

# Of those who are not known, who presents a token that is forged or whose session has ended. One
# that has expired, or none at all, is everyday life.
_PRESENTED = frozenset({"INVALID_TOKEN", "TOKEN_REVOKED"})


class Denials:
    """Records refusals: a line for each that met a known account.

    Those of strangers and those by limits are counted; see CountedDenials.
    """

    def __init__(self, trail: AuditTrail, clock: Clock) -> None:
        self._trail = trail
        self._counted = CountedDenials(trail, clock)

    def record(
        self,
        method: str,
        error: AppError,
        actor: Actor,
        *,
        request_id: str,
        client_address: str,
        email: str = "",
        limits: Sequence[Bucket] = (),
    ) -> None:
        """Record what is a denial, and nothing else.

        The method is `/package.Service/Method`, the client's address as the connection or a proxy
        tells it, which may be any text; the e-mail address is what a limit is about, if it is. The
        limits are those that refused it, if any did.
        """
        is_denial = error.kind in {Kind.FORBIDDEN, Kind.THROTTLED} or error.code in _PRESENTED
        if not is_denial:
            return
        target: dict[str, Fact] = {"address_sha256": address_digest(email)} if email else {}
        act = Act(
            method.removeprefix("/").removeprefix(f"{PACKAGE}."),
            outcome_of(error),
            actor,
            request_id,
            code=error.code,
            target=target,
            client_address=shown_address(client_address),
        )
        sources = [Source.of_limit(act.name, each) for each in limits]
        if not sources and actor.is_anonymous:
            # Before any limit, and without an account that could be suspended.
            sources = [Source.of_stranger(error.code, client_address)]
        if sources:
            self._counted.record(act, sources)
        else:
            self._trail.record(act)

    def flush(self) -> None:
        """Record what was counted in windows that are over; to be called now and then."""
        self._counted.flush()

    def close(self) -> None:
        """Record what was counted and not told; the trail stays open."""
        self._counted.close()


def untold(_error: AppError, _actor: Actor) -> None:
    """Tell nobody, where a refusal is recorded elsewhere or is none of an act."""
