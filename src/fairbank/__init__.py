"""fairbank: a federation of imaging biobanks."""

__version__ = "0.1.0"
