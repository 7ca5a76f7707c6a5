"""Signal files as arrays on the frame clock, and the features a physiologist would read off them."""
