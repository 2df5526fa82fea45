"""The `arcana` command: runs one tier or all of them, and does an operator's chores."""
