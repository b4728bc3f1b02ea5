"""Model traffic, one module a wire protocol. The only place that talks to a model."""
