"""One documented corpus per file; being a file here is the registration, an underscore means not one of them."""
