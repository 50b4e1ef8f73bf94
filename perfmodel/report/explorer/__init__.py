"""A page that answers in the browser: the recording of the equations as JavaScript, and what a question needs of it."""
