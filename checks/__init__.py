"""Who judges? One module for each control area: pure functions, each with its sabotages."""
