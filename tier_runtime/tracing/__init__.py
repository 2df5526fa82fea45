"""Traces: which spans there are, what they say, and where they go."""
