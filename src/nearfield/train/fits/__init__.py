"""What is fitted to finished vectors: small maps, and the tables of static models."""
