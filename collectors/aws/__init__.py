"""AWS, read through flows without I/O and thin drivers."""
