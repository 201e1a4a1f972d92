"""Plans in no vendor's words, what they said before, and telling open sessions what they have become."""
