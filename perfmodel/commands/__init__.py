"""The commands of the command line, one module for each family, each with `register(app)`. No physics here."""
