"""Jobs: the rows that decide, the broker that carries their ids, and the worker's program."""
