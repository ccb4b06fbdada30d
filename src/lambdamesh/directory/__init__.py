"""Where nodes find each other."""
