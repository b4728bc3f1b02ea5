"""What each expert sees: prompts and the messages sent to a model."""
