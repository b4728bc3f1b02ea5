"""`perstack report`: one job as a page, from its log and its evidence. Reads nothing else and changes nothing."""
