"""``lambdamesh.connect``: what may be said, and what is taken where nothing is said."""

from __future__ import annotations

import inspect
import os
import ssl
from collections.abc import Callable
from math import inf

from lambdamesh.client.address import DEFAULT_URL, parse_address
from lambdamesh.client.mesh import Connecting, Options
from lambdamesh.client.patience import PATIENCE_S
from lambdamesh.client.reconnector import Access, State
from lambdamesh.client.tickets import Ticket, clean_credential


def connect(  # noqa: PLR0913 -- all that a client can be told, by keyword
    url: str | None = None,
    *,
    token: str | None = None,
    ticket: Ticket = None,
    grace_s: float | None = None,
    on_state: Callable[[State], None] | None = None,
    debug: bool = False,
    threads: int | None = None,
    tls: ssl.SSLContext | None = None,
    patience_s: float | None = None,
) -> Connecting:
    """Connect to a node: ``async with lambdamesh.connect() as mesh`` or ``mesh = await lambdamesh.connect()``.

    ``url`` is ``http://host:port``, ``ws://host:port``, ``host:port`` or ``unix:/path`` (``https`` and ``wss`` with
    ``tls``, or the system's trust); without it ``LAMBDAMESH_URL``, else ``http://localhost:7630``. ``token`` is the
    local door's, else ``LAMBDAMESH_TOKEN``. ``ticket`` is a JWT, or a function that gives one, async or not, which is
    called before each connection and before the ticket ends. ``grace_s`` is how long the lambdas' calls wait while
    this client is away (``None``: 15 s). ``on_state`` is told each ``State``. ``debug`` sends tracebacks of handlers
    to callers. ``threads`` is how many functions that are not async may run at once (``None``: 32). ``patience_s`` is
    for how long a call is asked again, from its first refusal, that was refused because a node goes down
    (``Draining``), is away (``PeerUnreachable``) or has just started (``Recovering``); ``None``: 15 s, 0: not at all.

    A connection that is lost is made again, and its lambdas keep their ids.

    Raises:
        CallError: on entering: the node refuses (``Unauthorized``, ``Forbidden``), or three attempts have failed
            (``PeerUnreachable``).
        ValueError: ``url`` is no address; ``token`` or ``ticket`` cannot stand in a header; ``patience_s`` is below 0
            or not finite.
        TypeError: ``on_state`` is async.
    """
    if any(map(inspect.iscoroutinefunction, (on_state, type(on_state).__call__))):
        raise TypeError("on_state is called and not awaited: give a function that is not async")
    address = parse_address(url or os.environ.get("LAMBDAMESH_URL") or DEFAULT_URL)
    token = token or os.environ.get("LAMBDAMESH_TOKEN")
    if token:
        token = clean_credential(token, "the token")
    if isinstance(ticket, str):
        ticket = clean_credential(ticket, "the ticket")
    access = Access(address, token or None, ticket, tls)
    if patience_s is None:
        patience_s = PATIENCE_S
    if not 0 <= patience_s < inf:
        raise ValueError(f"patience_s={patience_s} is no number of seconds; 0 has calls fail at once")
    return Connecting(Options(access, grace_s, on_state, debug, threads, patience_s))
