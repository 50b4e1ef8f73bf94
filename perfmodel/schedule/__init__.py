"""In how many kernel calls a step is done: what a launch mode fuses and loops."""
