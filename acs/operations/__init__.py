"""What is done to a CPE once: reboot, firmware, a ping, another WiFi name. Written down first, called done by proof."""
