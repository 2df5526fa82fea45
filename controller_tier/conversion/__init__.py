"""Messages of the service tier to and from plain dictionaries; one module per resource."""
