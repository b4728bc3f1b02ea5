"""The only way out for skills with `allowedDomains`: a proxy that decides, and the road to it. Never open network."""
