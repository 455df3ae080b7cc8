"""What all routes share: access, bodies, formats, problems, and the protocol around them."""
