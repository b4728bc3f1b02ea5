"""`perstack doctor`, part by part: what is looked at, and how it is told. Who really looks are `api` and the forge."""
