"""The same calls from wrk, for those who trust it more. It checks no bodies and warms up within its window."""

import json
import shutil
import tempfile
from pathlib import Path

from bench.load.meter import LoadSpec, Sample
from bench.processes import run_on
from bench.procfs import cpu_seconds

SCRIPT = """
wrk.method = "POST"
wrk.body = %s
wrk.headers["Content-Type"] = "application/json"
function done(summary, latency)
  local e = summary.errors
  io.write(string.format('\\nJSON {"calls":%%d,"us":%%d,"p50":%%d,"p99":%%d,"errors":%%d}\\n',
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(99),
    e.connect + e.read + e.write + e.status + e.timeout))
end
"""


def is_installed() -> bool:
    """Whether wrk is on the path."""
    return shutil.which("wrk") is not None


def run(spec: LoadSpec, core: int) -> Sample:
    """One round, by a wrk process on the core. Raises StartError."""
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder, "calls.lua")
        script.write_text(SCRIPT % json.dumps(spec.body))
        url = f"http://127.0.0.1:{spec.port}{spec.path}"
        command = ["wrk", "-t1", f"-c{spec.connections}", f"-d{max(round(spec.seconds), 1)}s", "-s", str(script), url]
        pids = ((spec.node_pid,), spec.further_pids, (spec.provider_pid,))
        before = [sum(map(cpu_seconds, some)) for some in pids]
        printed = run_on(core, command, b"", spec.seconds + 30).decode()
        used = (sum(map(cpu_seconds, some)) - then for some, then in zip(pids, before, strict=True))
        first, further, provider = used
    report = json.loads(printed.rpartition("JSON ")[2])
    seconds, node, calls = report["us"] / 1e6, first + further, max(report["calls"], 1)
    return Sample(
        calls=report["calls"],
        seconds=seconds,
        errors=report["errors"],
        p50_us=report["p50"],
        p99_us=report["p99"],
        cpu_us=node * 1e6 / calls,
        node_share=node / seconds,
        load_share=provider / seconds,
        further_cpu_us=further * 1e6 / calls,
        first_error="counted by wrk" if report["errors"] else "",
    )
