"""The services of `arcana.repository.v1`: each method converts in, makes one call, converts out."""
