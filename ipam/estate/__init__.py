"""The network as an operator describes it: checked as a whole, then made so."""
