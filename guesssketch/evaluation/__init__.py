"""Evaluation: how good the model's guesses are on blocks that training never saw, judged by the prover."""
