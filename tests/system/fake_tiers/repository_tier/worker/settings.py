from __future__ import annotations

from tier_runtime.settings import TierSettings


class WorkerSettings(TierSettings):
    pass
