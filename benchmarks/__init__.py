"""gRPC against REST hops, and the whole chain in all its wirings, measured from outside."""
