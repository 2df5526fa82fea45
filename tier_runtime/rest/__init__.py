"""REST as a transport of hops: the same services as over gRPC, in JSON over HTTP."""
