"""What ``lambdamesh doctor`` looks at: a table of small functions, none of which creates or changes anything."""
