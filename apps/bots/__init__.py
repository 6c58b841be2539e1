"""Bot configurations, their immutable versions, and the REST API over them."""
