"""Conversations without I/O: bytes in, bytes out, one module a codec."""
