"""The only owner of the database and the cache; speaks `arcana.repository.v1`."""
