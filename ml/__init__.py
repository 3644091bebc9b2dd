"""Holdfast's Python side: reads the gold mart, trains, scores, and writes predictions back."""
