"""Every bound of a node, in one table: what may grow, how far, and for how long."""

from __future__ import annotations

import msgspec

KIB = 1024
MIB = 1024 * KIB


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """The bounds of one node. Seconds end in ``_s``, bytes in ``_bytes``; the rest are counts."""

    call_timeout_s: float = 60.0
    """Deadline of a call that names none."""
    call_timeout_max_s: float = 3600.0
    """Longest deadline a caller may ask for."""
    lambda_calls: int = 256
    """Calls in flight to one lambda; more are answered 503."""
    caller_calls: int = 1024
    """Calls in flight of one caller; more are answered 429."""
    waiting_calls: int = 64
    """Calls that wait for one lambda to be re-opened; more are answered 503."""
    body_bytes: int = 16 * MIB
    """Longest body of a request, and longest message of a WebSocket."""
    buffered_bytes: int = 512 * MIB
    """Bytes that all unfinished bodies and messages of more than 256 KiB may hold together."""
    queue_bytes: int = 1 * MIB
    """Bytes that wait for one socket to take them; a call that finds more is answered 503."""
    write_deadline_s: float = 10.0
    """How long a socket may take no byte of what waits for it before it is cut."""
    head_bytes: int = 16 * KIB
    """Longest head of a request (431)."""
    head_lines: int = 100
    """Most header lines of a request (431)."""
    head_timeout_s: float = 5.0
    """Time for a head to arrive (408)."""
    body_grace_s: float = 10.0
    """Time before a body has to keep up with ``body_rate_bytes``."""
    body_rate_bytes: int = 1 * KIB
    """Bytes a second that a body must reach on average after its grace (408)."""
    idle_timeout_s: float = 75.0
    """How long a kept-alive connection may stay without a request."""
    silent_timeout_s: float = 10.0
    """How long a connection may stay that has never said anything."""
    pipeline_requests: int = 16
    """Unanswered requests of one connection behind which reading pauses."""
    connections: int = 0
    """Open connections; 0 means as many as the file descriptor limit allows, less a reserve."""
    open_timeout_s: float = 5.0
    """Time for a provider to answer ``open`` (4408)."""
    close_timeout_s: float = 5.0
    """Time for the other side to answer a close before the connection is cut."""
    ping_interval_s: float = 10.0
    """Time between two pings of a WebSocket."""
    ping_misses: int = 2
    """Unanswered pings after which a WebSocket is dead."""
    message_values: int = 1024
    """JSON values that one WebSocket message may hold (1009)."""
    fragments: int = 1024
    """Frames that one WebSocket message may be made of (1009)."""
    grace_max_s: float = 300.0
    """Longest grace that ``?grace=`` may ask for."""
    resume_key_ttl_s: float = 86400.0
    """How long a resume key is valid."""
    gone_ids: int = 100_000
    """Closed ids that are remembered as gone (410)."""
    gone_ttl_s: float = 3600.0
    """How long a closed id is remembered."""
    recovering_s: float = 15.0
    """Time after a start in which an older id of this node is answered 503 instead of 404."""
    drain_s: float = 30.0
    """Longest time that running calls are given at SIGTERM."""
    drain_spread_s: float = 5.0
    """Time over which the closes of a drain are spread."""
    events_subscribers: int = 256
    """Open ``/events`` streams; more are answered 503."""
    listing_lambdas: int = 10_000
    """Lambdas that one listing shows."""
    stream_credit: int = 16
    """Items of a stream that its provider may send before the caller has taken any."""
    stream_credit_max: int = 256
    """Items of one stream that a caller may let come at once."""
    item_bytes: int = 64 * KIB
    """Longest item of a stream (502, and the stream is cancelled)."""
    stream_stall_s: float = 3600.0
    """How long the caller of a stream may take nothing of it, no byte and no item, before it is cut."""
    grace_s: float = 15.0
    """Grace of a lambda whose codec is `json-rpc-2.0` and that names none."""
    socket_lambdas: int = 10_000
    """Lambdas that one `/connect` socket may open; more are answered 429."""
    stream_ping_s: float = 15.0
    """Time between two comments on a silent stream of server-sent events."""
    link_queue_bytes: int = 16 * MIB
    """Bytes that wait for one link to take them; calls for its node are answered 503 beyond that."""
    link_calls: int = 65_536
    """Calls in flight that another node has sent over one link; more are answered 503."""
    link_idle_s: float = 600.0
    """How long a link that was opened by a call stays without one."""
    link_ping_s: float = 1.0
    """Time between two pings of a link while something is in flight on it."""
    link_silence_s: float = 3.5
    """Silence after a ping that is not answered before a link is cut."""
    link_hello_s: float = 5.0
    """Time for a node that was dialled, or has dialled, to prove itself and say hello."""
    link_redial_s: float = 30.0
    """Longest pause between two attempts to reach a node that was lost."""
    link_arriving: int = 256
    """Connections of the mesh door that have not said hello; for one more the oldest is closed."""
    link_arriving_address: int = 64
    """The same of each address."""
    ask_timeout_s: float = 4.0
    """Time for another node to answer a question about a lambda."""
    listing_timeout_s: float = 2.0
    """Time for each node to answer a listing of the whole mesh."""
    listing_nodes: int = 64
    """Nodes that a listing of the whole mesh asks at a time."""
