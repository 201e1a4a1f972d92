"""Telling open sessions what has changed (RFC 5176), and what each has come to."""
