"""What is looked at in a browser: the parts that every page is made of, and one file for each kind of page."""
