B
in_float32J’úCÑ	DÙ¼2Cz;†ÄA¨SÄ