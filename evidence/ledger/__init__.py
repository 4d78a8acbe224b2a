"""The transparency log: a directory in the C2SP tlog-tiles layout with one sequencer."""
