"""Every recogniser against its vendor's stand-in."""
