"""What agent and cloud both speak: wire models, units, ids, signing, error codes. No I/O."""
