"""lambdamesh: call a function wherever it lives, over plain HTTP."""

__all__ = ["__version__"]

__version__ = "0.1.0"
