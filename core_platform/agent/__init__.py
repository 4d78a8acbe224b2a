"""The GPU agent: the client of the ingress."""
