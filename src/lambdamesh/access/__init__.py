"""Who may do what: the rules of the doors, and the keys of lambdas."""
