"""What a shop of 100,000 products and orders costs over one of 1,000: the same requests on both."""
