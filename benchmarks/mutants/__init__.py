"""Breaks correct losses and activations mechanically, to see what actlint finds of it."""
