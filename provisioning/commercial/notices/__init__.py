"""Notices to teams, and the channels by which they are told."""
