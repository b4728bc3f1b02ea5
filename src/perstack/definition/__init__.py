"""`perstack.toml` to frozen data. Reads text it is given; runs nothing."""
