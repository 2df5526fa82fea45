"""The contract of the repository tier."""
