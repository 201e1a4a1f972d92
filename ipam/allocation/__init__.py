"""Giving a line its units: which pools may serve it, and taking from them without ever doubling one."""
