"""The processes of a node: one that does everything, or several under a supervisor."""
