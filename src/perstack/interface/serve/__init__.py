"""`perstack serve`: jobs over HTTP, their events as server-sent events. Works only through `perstack.api`."""
