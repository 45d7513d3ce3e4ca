"""A transformer over one row of packed sequences, none of which sees another."""
