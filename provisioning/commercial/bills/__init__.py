"""Bills and terms: begun, renewed, ended."""
