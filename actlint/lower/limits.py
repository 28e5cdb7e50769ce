"""How far lowering goes, and what ends it."""

MAX_NODES = 6000
MAX_DEPTH = 24  # of inlined calls
MAX_PATHS = 8  # ways through Python branches that are looked at
MAX_TRIES = 32  # ways that are begun: those that raise count for nothing
MAX_STEPS = 200_000  # expressions and statements that are gone through, on all paths together
# After so many no other way through a function that builds a Keras model is begun: such functions
# are long, and their ways differ in layers, not in expressions.
ENOUGH_BUILDING = 20_000


class Unlowerable(Exception):
    """This construct cannot be followed; what it computes becomes an opaque value."""


class TooLarge(Exception):
    """The graph, or the way to it, has outgrown its bounds."""
