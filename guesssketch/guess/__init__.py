"""Guess: a sequence-to-sequence model proposes target code for each block, with probabilities and an alignment."""
