"""What an evaluation comes to besides its comparison."""
