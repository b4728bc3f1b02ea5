"""`perstack start`: experts at work, on a terminal. Words and keys only: what runs is behind `perstack.api`."""
