"""A generator per corpus: the tree as it lies on a lab's disk, with tiny real media and every quirk."""
