"""The cases, in the order in which they run."""

from bench.cases.calls import NO_ERRORS, CallsCase, Goal
from bench.cases.case import Case
from bench.cases.clients import ClientCase
from bench.cases.crossing import CrossingCase
from bench.cases.directory import DirectoryCase
from bench.cases.idle import IdleCase
from bench.cases.links import LinksCase
from bench.cases.opening import OpeningCase
from bench.cases.streams import StreamCase
from bench.cases.worker_memory import WorkerMemoryCase
from bench.cases.workers import WorkersCase
from bench.stage import SMALL, body_of

CASES: tuple[Case, ...] = (
    CallsCase(
        name="calls",
        title='{"hello":"world"} over HTTP, 64 connections',
        subjects=("node", "constant", "aiohttp", "nginx"),
        body=SMALL,
        at_once=64,
        goals=(
            Goal("part of what the same listener does with a constant", "ratio", 0.6, at_least=True),
            Goal("99 % of calls within ms", "p99_ms", 4.0),
            NO_ERRORS,
        ),
    ),
    CallsCase(
        name="connect",
        title='{"hello":"world"} over one /connect socket, 64 calls in flight',
        subjects=("node", "constant"),
        body=SMALL,
        at_once=64,
        over_connect=True,
    ),
    CallsCase(
        name="latency",
        title='{"hello":"world"} over HTTP, 1 connection',
        subjects=("node", "constant", "aiohttp"),
        body=SMALL,
        at_once=1,
    ),
    CallsCase(
        name="large",
        title="64 KiB there and 64 KiB back over HTTP, 64 connections",
        subjects=("node", "constant", "aiohttp"),
        body=body_of(65536),
        at_once=64,
    ),
    OpeningCase(),
    IdleCase(),
    ClientCase(),
    CallsCase(
        name="hop",
        title='{"hello":"world"} over HTTP, 64 connections, from node A to a lambda of node B',
        subjects=("node", "hop", "nats_gateway"),
        body=SMALL,
        at_once=64,
        goals=(
            Goal("part of the calls of one node", "ratio", 0.45, at_least=True),
            Goal("CPU us of both nodes for a call", "cpu_us", 56.0),
            NO_ERRORS,
        ),
        base="node",
        judged="hop",
    ),
    CallsCase(
        name="hop-latency",
        title='{"hello":"world"} over HTTP, 1 connection, from node A to a lambda of node B',
        subjects=("node", "hop"),
        body=SMALL,
        at_once=1,
        base="node",
        judged="hop",
        has_added=True,
    ),
    StreamCase(),
    DirectoryCase(),
    LinksCase(),
    WorkersCase(),
    CrossingCase(),
    WorkerMemoryCase(),
)
