"""The client library: one socket to a node, over which functions are called and served."""
