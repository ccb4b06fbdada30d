"""``python -m lambdamesh.workers FD``: a worker, started by a supervisor and by nobody else."""

import sys

from lambdamesh.workers.worker import main

if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1])))
