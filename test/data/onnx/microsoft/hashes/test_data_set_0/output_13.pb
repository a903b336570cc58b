Bhash_float64JØ
¢Âƒ
2¸b²/HB++ü#dĞ