"""The technician's page on the rack host: what fails, what waits, the emergency stop. Works without the cloud."""
