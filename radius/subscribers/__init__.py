"""Who a subscriber is and what is done to it: made, moved from state to state, renamed, bound to a line."""
