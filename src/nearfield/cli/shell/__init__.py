"""What every command has: checks before it, help, and the next step after it."""
