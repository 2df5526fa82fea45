"""Messages that more than one boundary uses, version 1."""
