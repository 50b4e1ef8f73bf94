"""How long a step takes: one question from its parameters to an answer with its interval."""
