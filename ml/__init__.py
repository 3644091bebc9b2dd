"""Holdfast's Python side: reads the gold mart, trains, scores, and writes predictions back."""

import os

# Threads of LightGBM that wait for each other spin, by default, and take the core from the one
# they wait for wherever other programs run too: measured 3 to 9 times slower on two busy cores.
# OpenMP reads this when it is loaded, so it stands before every other import.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
