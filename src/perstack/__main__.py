"""`python -m perstack`: the same as the `perstack` command."""

from perstack.interface.main import main

main()
