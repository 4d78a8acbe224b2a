"""The documents of an evidence pack: each a JSON object made by a pure function, and its HTML."""
