"""The people and firms that buy, and in which language they are written to."""
