"""Partners, their customers, pools and commissions."""
