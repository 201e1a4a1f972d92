"""The NASes as we want them, and packets to try them with."""
