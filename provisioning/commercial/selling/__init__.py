"""Leads, offers, quotes, acceptances and orders."""
