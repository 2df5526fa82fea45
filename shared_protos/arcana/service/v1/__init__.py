"""The contract of the service tier, version 1."""
