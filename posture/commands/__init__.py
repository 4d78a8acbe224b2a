"""One module for each command of `posture`; imported when that command is called."""
