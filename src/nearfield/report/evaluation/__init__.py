"""The page of a comparison: its rows, what quality costs, where the order flips, a look inside."""
