"""The contracts between the tiers, generated from the ``.proto`` files beside the code."""
