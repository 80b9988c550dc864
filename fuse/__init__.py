"""The machine that turns cached tensors into predictions: join, train, score, report."""
