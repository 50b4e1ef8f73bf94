"""Pictures: one module each, with its record, its numbers and its drawing; matplotlib loads when one is drawn."""
