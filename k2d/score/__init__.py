"""Count errors by kind, with confidence intervals and signatures, so that scores can be compared."""
