"""Hard signals: run, compare, verdict. May import infrastructure and core only, so no model can reach a verdict."""
