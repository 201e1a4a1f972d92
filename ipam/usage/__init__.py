"""How full the pools are, where, and until when."""
