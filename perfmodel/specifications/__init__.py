"""What files say: devices, models, formats, profiles, and the catalogue that finds them."""
