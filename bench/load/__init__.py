"""What runs on the load core: callers, providers and crowds of lambdas, each a process of its own."""
