"""Functions of an object run beside those of its translation, on inputs that are made here (docs/design.md, "Testing")."""
