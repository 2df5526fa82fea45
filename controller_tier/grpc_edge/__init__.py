"""The public gRPC API: strangers are admitted, counted, and passed on to the service tier."""
