"""Rolling restarts: nodes that are drained and started again, one after the other, under calls."""
