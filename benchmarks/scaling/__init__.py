"""Training over ranks: what it costs here, and what it would cost on a cluster."""
