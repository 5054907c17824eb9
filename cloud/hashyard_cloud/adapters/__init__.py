"""E-mail, payments and price feeds behind ports."""
