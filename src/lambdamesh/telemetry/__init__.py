"""What a node tells about itself: its log and its metrics."""
