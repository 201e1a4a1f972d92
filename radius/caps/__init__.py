"""How much a subscriber may use in a billing month, what was used of it, and what happens when that is used up."""
