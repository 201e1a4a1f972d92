"""Who was let in, who was not, and why somebody can't log in."""
