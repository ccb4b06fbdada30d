"""``python -m lambdamesh`` is the command ``lambdamesh``."""

import sys

from lambdamesh.cli import main

sys.exit(main())
