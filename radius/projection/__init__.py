"""From what we want to the rows FreeRADIUS reads, and the tables they are in."""
