"""Numeric facts about TensorFlow ops, one row each."""
