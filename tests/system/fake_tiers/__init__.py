"""Tiers that do as an environment variable says, for tests of the launcher alone.

With this folder first on the path, `repository_tier` and its sisters are these.
"""
