"""The machine that turns media into cached tensors: decode once, cut, encode with frozen networks, write."""
