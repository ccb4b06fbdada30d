"""How a command ends when it does not end well."""

from __future__ import annotations

CALL_FAILED = 1
USAGE = 2
NO_NODE = 3
BAD_CONFIGURATION = 78


class Failure(Exception):
    """Ends the command: ``message`` goes to stderr and tells the remedy, ``exit_code`` to the shell."""

    def __init__(self, message: str, exit_code: int = CALL_FAILED) -> None:
        super().__init__(message)
        self.message = message
        self.exit_code = exit_code
