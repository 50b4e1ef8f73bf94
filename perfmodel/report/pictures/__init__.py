"""Pictures: one module each, with its record, its numbers and its drawing by matplotlib, which loads when one is drawn."""
