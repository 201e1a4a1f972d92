"""What operators do to addresses under way: reserve, exclude, move, route, drain, give back."""
