"""What one peer may use of the server, each limit by its name and unit.

Measured on grpc.aio: without them a silent peer keeps a connection open for ever.
"""

from typing import Final

#: From the opening of a stream to its verified hello, the challenge's round trip included.
HELLO_DEADLINE_SECONDS: Final = 5.0
MAX_HELLO_BYTES: Final = 4096
#: Holds after decompression too.
MAX_MESSAGE_BYTES: Final = 64 * 1024
MAX_METADATA_BYTES: Final = 8 * 1024
MAX_SAMPLES_PER_BATCH: Final = 512
DRAIN_SECONDS: Final = 5.0

SERVER_OPTIONS: Final = (
    ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
    ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
    ("grpc.max_metadata_size", MAX_METADATA_BYTES),
    ("grpc.absolute_max_metadata_size", MAX_METADATA_BYTES),
    ("grpc.max_concurrent_streams", 256),
    ("grpc.server_handshake_timeout_ms", 5_000),
    ("grpc.max_connection_idle_ms", 60_000),
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
    # Two servers on one port would share the agents between them unseen.
    ("grpc.so_reuseport", 0),
)
