import json
import os
import sys
import urllib.error
import urllib.request

NODE = os.environ.get("LAMBDAMESH_URL", "http://localhost:7630")


def push(lambda_id, method, body):
    """Push to one window, and return its acknowledgement or the error that the node answered with."""
    url = f"{NODE}/lambda/{lambda_id}/{method}?timeout=5"
    try:
        with urllib.request.urlopen(url, json.dumps(body).encode()) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as refused:
        return json.load(refused)


print(push(sys.argv[1], "show", {"text": "hello"}))
