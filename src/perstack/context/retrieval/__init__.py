"""What experts look up in a repository: text, ranked search, symbols, history. Runs in a process without keys."""
