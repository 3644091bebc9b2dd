"""Explain one customer's score to a person."""
