"""The benchmark: what a call, a lambda and an idle socket cost, beside peers measured in the same run."""
