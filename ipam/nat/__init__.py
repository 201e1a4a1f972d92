"""Which outside address and ports a subscriber behind a CGNAT has: by rule (RFC 7422), or by what the box logged."""
