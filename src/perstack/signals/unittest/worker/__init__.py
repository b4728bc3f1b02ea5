"""The script that runs inside the sandbox, beside the ones shared with pytest. Nothing of it is imported here."""
