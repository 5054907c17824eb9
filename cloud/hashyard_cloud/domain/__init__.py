"""Pure rules of the business: no I/O, standard library and shared only."""
