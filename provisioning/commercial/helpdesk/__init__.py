"""Tickets: what teams are to do, and until when."""
