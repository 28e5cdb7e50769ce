"""The rules, one file each; only ``actlint.catalogue`` loads them."""
