"""What one request of each kind costs each tier and store: the figures of `arcana capacity`."""
