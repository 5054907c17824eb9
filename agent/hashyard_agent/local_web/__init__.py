"""The technician's page on the rack host."""
