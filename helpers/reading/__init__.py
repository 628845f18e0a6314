"""Guards for what comes from outside: tables, captions, pictures, addresses and names."""
