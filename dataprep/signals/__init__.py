"""Signal files as arrays on the frame clock, and domain features of them."""
