"""What tests share: real databases and a real FreeRADIUS, started once per run as plain processes."""
