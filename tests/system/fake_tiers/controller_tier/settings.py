from __future__ import annotations

from tier_runtime.settings import TierSettings


class ControllerSettings(TierSettings):
    fake_number: int = 1
