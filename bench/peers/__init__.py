"""What the node is compared with."""
