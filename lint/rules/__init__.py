"""The rules: what each says, why, and what it finds in a catalogue or in source code."""
