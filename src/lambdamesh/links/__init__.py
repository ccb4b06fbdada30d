"""Carries calls to another node: batched, bounded, authenticated."""
