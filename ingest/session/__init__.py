"""Bytes of one broker session enter; messages leave, bounded, in the order in which they are worth taking."""
