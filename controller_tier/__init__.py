"""The edge: HTTP and JSON outside, the service tier's contract inside."""
