"""The gRPC ingress that GPU agents speak to."""
