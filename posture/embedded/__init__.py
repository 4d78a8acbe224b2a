"""The servers of a first run: PostgreSQL, a Redis-compatible server and an AWS emulator, all local.

They answer "how do I try this on a machine with nothing prepared?" for someone at a laptop or in
CI. Unix sockets or loopback only, data below a folder the caller names, stopped by the process id
that was started. Real servers take their place by URL in `posture.yaml`.
"""
