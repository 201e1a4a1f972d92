"""What a GenieACS 1.2.16 answered on its NBI, request by request, and how to ask the lab ACS the same."""
