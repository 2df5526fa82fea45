"""Where published events wait for those who consume them: in Redis, or in the database."""
