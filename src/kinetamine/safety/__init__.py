"""Who should not, what not to combine, how long it shows, what misuse does; one file per subject."""
