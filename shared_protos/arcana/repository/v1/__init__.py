"""The contract of the repository tier, version 1."""
