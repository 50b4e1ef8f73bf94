"""Backwards and inside: solving for a parameter, derivatives, closed forms, loop reports."""
