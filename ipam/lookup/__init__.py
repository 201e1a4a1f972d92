"""Looking at addresses, services and pools as people ask for them, today and at any time in the past."""
