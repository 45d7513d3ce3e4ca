"""`nearfield models`: what is known of each model, and models made of others."""
