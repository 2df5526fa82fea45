"""The views: schema in, one call, document out; one module per resource."""
