"""Compare judges of labels: which of them finds the labels that are truly bad? Reads what stages 5 to 8 have stored."""
