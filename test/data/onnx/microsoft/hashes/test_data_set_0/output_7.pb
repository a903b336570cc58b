B
hash_int64JL9ş9P0²à¸¹k+8DêXˆl