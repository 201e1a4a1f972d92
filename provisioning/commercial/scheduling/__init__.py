"""Deployments: an order in the calendar of visits."""
