"""Proofs that anyone can run on their own data, and that fail when they should."""
