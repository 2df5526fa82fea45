"""The contract of the service tier."""
