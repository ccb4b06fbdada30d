"""Which lambdas live here, how a call finds its way, and that it is answered once: no sockets, no event loop."""
