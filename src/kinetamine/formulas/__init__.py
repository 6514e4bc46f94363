"""The formulas of model files: read as text, kept as a tree, turned into numbers, units or sympy."""
