"""What is allocated as files: taken over from other systems, handed to them, compared with RADIUS."""
