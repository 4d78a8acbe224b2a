"""How a customer connects what the platform reads: connections and their sealed credentials."""
