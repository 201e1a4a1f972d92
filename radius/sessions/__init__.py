"""What accounting tells: who is online, who had an address, what was used, and sessions that nobody else will close."""
