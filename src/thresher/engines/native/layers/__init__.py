"""The parts of a decoder layer, each in a module; ``layer`` joins them. What passes between steps is in ``memory``."""
