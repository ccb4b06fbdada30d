"""The tests. Those below ``integration`` and ``conformance`` speak to real nodes over real sockets."""
