"""Messages that more than one boundary uses."""
