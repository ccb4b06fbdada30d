"""nginx answering a constant: what a web server in C costs for the same request, relaying nothing."""

import shutil
import socket
from pathlib import Path

CONFIGURATION = """
daemon off;
master_process off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ worker_connections 1024; }}
http {{
  access_log off;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  keepalive_requests 1000000000;
  server {{
    listen 127.0.0.1:{port} backlog=1024;
    default_type application/json;
    location / {{ return 200 '{body}'; }}
  }}
}}
"""


def is_installed() -> bool:
    """Whether nginx is on the path."""
    return shutil.which("nginx") is not None


def prepare(folder: Path, body: str) -> tuple[list[str], int]:
    """Writes its configuration; the command that starts it, and the port it will have."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    configuration = folder / "nginx.conf"
    configuration.write_text(CONFIGURATION.format(folder=folder, port=port, body=body))
    return ["nginx", "-p", str(folder), "-c", str(configuration)], port
