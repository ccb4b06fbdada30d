"""Listeners and what speaks on them: HTTP requests and WebSockets become calls, answers become responses."""
