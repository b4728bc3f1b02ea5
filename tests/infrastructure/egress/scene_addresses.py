"""The addresses of the small internet, all on its loopback."""

PUBLIC, OTHER, PUBLIC6 = "93.184.216.34", "93.184.216.35", "2606:2800:220:1::1"
PRIVATE = ("169.254.169.254", "10.1.2.3", "172.17.0.1", "192.168.1.1", "100.64.0.1", "198.18.0.1", "168.63.129.16")
PRIVATE6 = ("fd00::1",)
ADDRESSES = tuple(f"{a}/{128 if ':' in a else 32}" for a in (PUBLIC, OTHER, PUBLIC6, *PRIVATE, *PRIVATE6))
# A Unix socket without a file: whoever shares a network namespace reaches it.
ABSTRACT = "\0perstack-test-engine"
