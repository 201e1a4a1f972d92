"""Is the FreeRADIUS that runs here free of what is known to hurt?"""
