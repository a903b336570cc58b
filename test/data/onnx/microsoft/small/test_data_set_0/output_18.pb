BsqeuclideanJ0T"A¯)Aî
„Aéƒ4@b£A/‰A}ø]A"¸Aì€Ì@"ÄA<‰‡@ŠÖêA