"""Sketch: what a guess has wrong becomes holes, and the solver fills them (docs/design.md, "Sketching")."""
