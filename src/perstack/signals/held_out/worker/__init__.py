"""The script that runs inside the sandbox. Nothing of it is imported here."""
