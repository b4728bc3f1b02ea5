"""The signal kind `http`: a service of the tree answers requests as it has to."""
