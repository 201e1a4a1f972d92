"""Customers' pages, and under whose brand they stand."""
