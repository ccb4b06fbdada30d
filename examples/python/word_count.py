"""A program to expose: `lambdamesh expose --exec 'python examples/python/word_count.py'`."""

import json
import os
import sys

text = json.load(sys.stdin)
if not isinstance(text, str):
    sys.exit("a text, please")
method = os.environ["LAMBDAMESH_METHOD"]
print(json.dumps(len(text) if method == "letters" else len(text.split())))
