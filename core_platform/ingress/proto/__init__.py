"""The protobuf contract of the ingress; ``python -m core_platform.ingress.proto`` writes the code."""
