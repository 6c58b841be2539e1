"""Stand-ins for vendors, as strict as the originals, and the suite that every adapter passes."""
