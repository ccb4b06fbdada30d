"""What the project promises under faults, shown by real processes that are killed, stopped and cut off.

`python -m tests.faults` runs the ledger: calls by the hundred thousand, written down where they are made and where they
are executed, while a seeded schedule breaks whatever there is to break.
"""
