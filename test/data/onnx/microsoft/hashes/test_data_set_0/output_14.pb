Bhash_float64_signedJØ
¢Âƒ
2¸b²/HB++ü#dĞ