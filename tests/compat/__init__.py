"""Public definitions run as published: those beside the checkout where they are, and our own of the same kind."""
